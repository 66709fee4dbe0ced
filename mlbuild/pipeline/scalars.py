"""What an unquoted scalar means: the core schema of YAML 1.2.

PyYAML reads YAML 1.1, where ``on`` is true, ``1e-3`` is text and ``010`` is eight.

Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution
"""

from __future__ import annotations

import re

from mlbuild.records import Json

_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = (".nan", ".NaN", ".NAN")
_NUMBER_STARTS = frozenset("+-.0123456789")
_LONGEST_NUMBER = 400  # digits; Python itself refuses to read integers beyond 4,300


class ScalarError(ValueError):
    """The text looks like a number that cannot be used."""


def resolve_plain(text: str) -> Json:
    """The value of an unquoted scalar.

    Raises:
        ScalarError: ``.nan``, which equals nothing and would make a stage run for ever, or a
            number of absurd length.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if text in _NAN:
        raise ScalarError(f"'{text}' is no usable value: it equals nothing, not even itself")
    if len(text) > _LONGEST_NUMBER:
        if _FLOAT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
            raise ScalarError(f"a number of {len(text)} digits")
        return text
    return _number(text)


def _number(text: str) -> Json:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if found := _INFINITE.fullmatch(text):
        return float(found[1] + "inf")
    return text
