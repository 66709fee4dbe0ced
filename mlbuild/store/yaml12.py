"""YAML 1.2 as DVC reads and writes it: `no` is a string, `1e-3` a number.

DVC writes with ruamel.yaml, which takes milliseconds for one entry. Lines of printable ASCII are
written here, folded and quoted as it would; whatever else there is goes through ruamel.yaml itself,
so that the bytes are DVC's.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlbuild.lazily import lazily
from mlbuild.records import Json

if TYPE_CHECKING:
    from mlbuild.store import yaml12reading as reading
else:
    reading = lazily("mlbuild.store.yaml12reading")  # PyYAML: 35 ms

_WIDTH = 80  # where ruamel.yaml folds scalars
_LINE = re.compile(r"[ -~]+")
# What no plain scalar may begin or end with, or hold.
_INDICATED = re.compile(r"[#,\[\]{}&*!|>'\"%@` ]|.*(?:: | #)|.*[: ]$")
_WORD = re.compile(r"[A-Za-z_/][\w./+=@()'-]*", re.A)
_HEX = re.compile(r"[0-9][0-9a-f]*(?:\.dir)?")
_NUMBER = re.compile(r"[0-9]+(?:e[0-9]+)?|0b[01]+")
# What could be taken for a number, a date, null, a merge key or a complex one: ruamel.yaml knows.
_DOUBTFUL = re.compile(r"[-+0-9~<=?:]|\.(?!\.?/)")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_TOKENS = re.compile(r" +|[^ ]+")


class UntameError(Exception):
    """A scalar whose form is left to ruamel.yaml."""


def load(text: str) -> Json:
    """The value of a YAML text. Raises yaml.YAMLError."""
    return reading.load(text)


def compose(text: str) -> Any:
    """The nodes of a YAML text, with their places; None of an empty one. Raises yaml.YAMLError."""
    return reading.compose(text)


def entry(name: str, value: Json, indent: int = 2) -> str:
    """``name: value`` as a block, byte for byte as DVC writes it at that indentation."""
    try:
        lines = _mapping({name: value}, " " * 2)
    except UntameError:
        lines = _by_ruamel(name, value)
    cut, shift = max(0, 2 - indent), " " * (indent - 2)
    return "".join(f"{shift}{line[cut:]}\n" for line in lines)


def _by_ruamel(name: str, value: Json) -> list[str]:
    from ruamel.yaml import YAML  # lazy: only for scalars that need quoting, folding, escaping

    writer = YAML()
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump({"stages": {name: value}}, stream)
    return stream.getvalue().split("\n")[1:-1]


def _mapping(value: dict[str, Json], pad: str) -> list[str]:
    lines: list[str] = []
    for key, item in value.items():
        if len(pad) + len(key) > _WIDTH - 2:
            raise UntameError
        head = pad + _string(key, pad, len(pad))
        if isinstance(item, str):
            lines += f"{head}: {_string(item, pad, len(head) + 2)}".split("\n")
        elif isinstance(item, dict) and item:
            lines += [f"{head}:", *_mapping(item, pad + "  ")]
        elif isinstance(item, (list, tuple)) and item:
            lines += [f"{head}:", *_sequence(item, pad)]
        elif item is None:
            lines.append(f"{head}:")
        else:
            lines.append(f"{head}: {_scalar(item)}")
    return lines


def _sequence(value: list[Json] | tuple[Json, ...], pad: str) -> list[str]:
    lines: list[str] = []
    for item in value:
        if isinstance(item, dict) and item:
            inner = _mapping(item, pad + "  ")
        elif isinstance(item, (list, tuple)) and item:
            inner = _sequence(item, pad + "  ")
        elif item is None:  # with a blank behind the dash, or without: versions differ
            raise UntameError
        elif isinstance(item, str):
            lines += f"{pad}- {_string(item, pad, len(pad) + 2)}".split("\n")
            continue
        else:
            lines.append(f"{pad}- {_scalar(item)}")
            continue
        lines.append(f"{pad}- {inner[0][len(pad) + 2 :]}")
        lines += inner[1:]
    return lines


def _scalar(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and "e" not in repr(value) and "n" not in repr(value):
        return repr(value)
    if value == [] or value == () or value == {}:
        return "{}" if isinstance(value, dict) else "[]"
    raise UntameError


@lru_cache(maxsize=1 << 13)  # keys and digests come again and again
def _string(text: str, pad: str, column: int) -> str:
    """A string that begins at a column; where it is folded, on several lines."""
    if column + len(text) <= _WIDTH and _WORD.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if _HEX.fullmatch(text):
        return f"'{text}'" if _NUMBER.fullmatch(text) else text
    if not _LINE.fullmatch(text) or _DOUBTFUL.match(text) or text.lower() in _WORDS:
        raise UntameError
    quoted = _INDICATED.match(text)
    if quoted and "'" in text:
        raise UntameError
    if column + len(text) > _WIDTH:
        text = _folded_quoted(text, pad, column) if quoted else _folded(text, pad, column)
    return f"'{text}'" if quoted else text


def _folded(text: str, pad: str, column: int) -> str:
    """A plain scalar as ruamel.yaml's ``Emitter.write_plain`` folds it."""
    indent, parts = len(pad) + 2, []
    for token in _TOKENS.findall(text):
        if token == " " and column >= _WIDTH:
            parts.append(f"\n{pad}  ")
            column = indent
            continue
        if token[0] != " " and column + len(token) > _WIDTH and column > indent:
            parts.append(f"\n{pad}  ")
            column = indent
        parts.append(token)
        column += len(token)
    return "".join(parts)


def _folded_quoted(text: str, pad: str, column: int) -> str:
    """The inside of a quoted scalar as ``Emitter.write_single_quoted`` folds it."""
    parts, last = [], len(text)
    column, position = column + 1, 0
    for token in _TOKENS.findall(text):
        start, position = position, position + len(token)
        if token == " " and column > _WIDTH and start and position != last:
            parts.append(f"\n{pad}  ")
            column = len(pad) + 2
            continue
        parts.append(token)
        column += len(token)
    return "".join(parts)
