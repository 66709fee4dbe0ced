"""Templates of text: `%{name}` is a value, lines between `%if name` and `%end` stand or fall.

The signs are these because `$`, `{{` and `<` mean something in the files that are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_VALUE = re.compile(r"%\{(\w+)\}")
_SAFE = re.compile(r"[A-Za-z_./][\w./@+-]*")
# What YAML 1.1 or 1.2 reads as something else than text.
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

Values = Mapping[str, str | bool]


def template(name: str) -> str:
    """The text of a template of ours."""
    return files("mlbuild.starting").joinpath("templates", name).read_text("utf-8")


def fill(text: str, values: Values) -> str:
    """A template with its values.

    Args:
        text: `%if name`, `%if not name`, `%else` and `%end` stand alone on a line and may be
            nested; everything else is kept, with `%{name}` exchanged.
        values: by name; a condition asks whether the value is true or text at all.

    Raises:
        KeyError: the template names a value that is not given.
        ValueError: its conditions do not close.
    """
    kept: list[str] = []
    shown = [True]
    for line in text.splitlines(keepends=True):
        words = line.split() if line.startswith("%") else [""]
        if words[0] == "%if":
            shown.append(shown[-1] and _holds(words[1:], values))
        elif words[0] == "%else":
            if len(shown) < 2:
                raise ValueError("%else without %if")
            shown[-1] = shown[-2] and not shown[-1]
        elif words[0] == "%end":
            if len(shown) < 2:
                raise ValueError("%end without %if")
            shown.pop()
        elif shown[-1]:
            kept.append(_VALUE.sub(lambda found: str(values[found[1]]), line))
    if len(shown) > 1:
        raise ValueError("%if without %end")
    return "".join(kept)


def _holds(words: list[str], values: Values) -> bool:
    wanted = words[0] != "not"
    return bool(values[words[-1]]) is wanted


def quoted(text: str) -> str:
    """Text as a YAML scalar that is read back as that text, in a list or map too."""
    if _SAFE.fullmatch(text) and text.lower() not in _WORDS and not re.fullmatch(r"[._]+", text):
        return text
    escaped = "".join(_escaped(sign) for sign in text)
    return f'"{escaped}"'


def listed(texts: list[str]) -> str:
    """A YAML list on one line."""
    return "[" + ", ".join(map(quoted, texts)) + "]"


def _escaped(sign: str) -> str:
    if sign in '\\"':
        return "\\" + sign
    if sign.isprintable() or sign == " ":
        return sign
    code = ord(sign)
    width, letter = (2, "x") if code < 0x100 else (4, "u") if code < 0x10000 else (8, "U")
    return f"\\{letter}{code:0{width}x}"
