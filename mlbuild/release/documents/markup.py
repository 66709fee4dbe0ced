"""HTML and SVG by elements: text is escaped unless it is Markup already."""

from __future__ import annotations

import html
import unicodedata

_VOID = {"meta", "br", "hr", "img"}
# They turn what follows around, so that a name could pass for another one.
_TURNING = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def visible(text: str) -> str:
    """One line that shows what it holds: white space is a space, other controls a mark.

    Controls are no characters of XML, halves of surrogate pairs none of UTF-8, and marks of
    direction would show a name in another order than it is stored in.
    """
    return "".join(_visible(c) for c in text)


def _visible(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff"
    return "\ufffd" if hidden or character in _TURNING else character


def escaped(text: str) -> Markup:
    """Text as HTML or as the value of an attribute."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text)))


def element(tag: str, /, *children: str, **attributes: object) -> Markup:
    """``<name attribute="value">children</name>``, well-formed XML too.

    Args:
        tag: the element's name.
        children: Markup stands as it is, other text is escaped.
        attributes: ``class_`` is class, ``stroke_width`` stroke-width; None is left out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{told}/>")
    return Markup(f"<{tag}{told}>{''.join(map(escaped, children))}</{tag}>")


def joined(*parts: Markup, by: str = "\n") -> Markup:
    """Several elements as one."""
    return Markup(by.join(parts))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")  # hundredths of a pixel are enough
    return str(value)
