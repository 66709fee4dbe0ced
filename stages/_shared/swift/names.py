"""Words of any language as Swift identifiers, literals and comments."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Words that need backticks as identifiers. Source: The Swift Programming Language, Lexical
# Structure, Keywords and Punctuation.
KEYWORDS = frozenset(
    [
        "associatedtype",
        "class",
        "deinit",
        "enum",
        "extension",
        "fileprivate",
        "func",
        "import",
        "init",
        "inout",
        "internal",
        "let",
        "open",
        "operator",
        "private",
        "precedencegroup",
        "protocol",
        "public",
        "rethrows",
        "static",
        "struct",
        "subscript",
        "typealias",
        "var",
        "break",
        "case",
        "catch",
        "continue",
        "default",
        "defer",
        "do",
        "else",
        "fallthrough",
        "for",
        "guard",
        "if",
        "in",
        "repeat",
        "return",
        "throw",
        "switch",
        "where",
        "while",
        "Any",
        "as",
        "await",
        "false",
        "is",
        "nil",
        "self",
        "Self",
        "super",
        "throws",
        "true",
        "try",
        "async",
        "actor",
    ]
)
_NO_MEMBERS = frozenset({"self", "Self", "Type", "Protocol", "init"})  # not even with backticks
# Modules and types that a wrapper uses itself: a package of that name would hide them.
_TAKEN = frozenset(
    [
        "Swift",
        "Foundation",
        "CoreML",
        "CoreGraphics",
        "CoreImage",
        "CoreVideo",
        "ImageIO",
        "Vision",
        "XCTest",
        "Package",
        "Bundle",
        "String",
        "Int",
        "Int64",
        "Double",
        "Float",
        "Bool",
        "Array",
        "Dictionary",
        "Set",
        "Optional",
        "Result",
        "Error",
        "URL",
        "Data",
        "Any",
    ]
)


def type_name(name: str) -> str:
    """A module's name: letters and digits of ASCII, upper case in front.

    >>> type_name("2 dogs & cats"), type_name("Vision"), type_name("é")
    ('Model2DogsCats', 'VisionModel', 'E')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z0-9]+", plain)
    joined = "".join(word[0].upper() + word[1:] for word in words) or "Model"
    if joined[0].isdigit():
        joined = f"Model{joined}"
    return f"{joined}Model" if joined in _TAKEN or joined in KEYWORDS else joined


def identifiers(names: Iterable[str]) -> list[str]:
    """Property names, one for each, all different; keywords in backticks.

    >>> identifiers(["image", "class", "2nd", "a-b", "a b", "self", ""])
    ['image', '`class`', '_2nd', 'a_b', 'a_b_2', 'self_', 'value']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        plain = _plain(name)
        chosen, number = plain, 1
        while chosen in taken:
            number += 1
            chosen = f"{plain}_{number}"
        taken.add(chosen)
        result.append(f"`{chosen}`" if chosen in KEYWORDS else chosen)
    return result


def _plain(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_]+", "_", unicodedata.normalize("NFKC", name))
    if not word.strip("_"):
        return "value"
    if word[0].isdigit():
        word = f"_{word}"
    return f"{word}_" if word in _NO_MEMBERS else word


def literal(text: str) -> str:
    r"""A Swift string literal.

    >>> literal('say "hi" \\ \n')
    '"say \\"hi\\" \\\\ \\n"'
    """
    simple = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
    parts = [simple.get(c) or (c if _shows(c) else f"\\u{{{ord(c):X}}}") for c in text]
    return '"' + "".join(parts) + '"'


def _shows(character: str) -> bool:
    # Control characters, line separators, surrogates and directional marks are written as code
    # points: some end a literal, others make it read unlike what it is.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def comment(text: str) -> str:
    """Text for a line of a comment: no line breaks, nothing that ends or nests one."""
    plain = "".join(c if _shows(c) else " " for c in text)
    return " ".join(plain.split()).replace("*/", "* /").replace("/*", "/ *")
