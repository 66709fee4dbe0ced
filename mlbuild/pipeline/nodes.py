"""The tree of a YAML text in which every key and value knows its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from mlbuild.errors import Place
from mlbuild.records import Json


@dataclass(frozen=True, slots=True)
class Source:
    """A text that nodes stand in: the pipeline file, or one ``--set`` argument."""

    name: str  # as the user gave it
    lines: tuple[str, ...]

    def place(self, line: int, column: int) -> Place:
        """The place of zero-based ``line`` and ``column``, with the text of its line."""
        text = self.lines[line] if line < len(self.lines) else ""
        return Place(self.name, line + 1, column + 1, text)


class Node:
    """A scalar (``value``), a list (``items``) or a map (``entries``)."""

    __slots__ = ("column", "line", "source")

    def __init__(self, source: Source, line: int, column: int) -> None:
        self.source, self.line, self.column = source, line, column

    @property
    def place(self) -> Place:
        """Where the node begins."""
        return self.source.place(self.line, self.column)

    @property
    def what(self) -> str:
        """What a message calls it."""
        raise NotImplementedError


class Scalar(Node):
    """Text, a number, true, false or null."""

    __slots__ = ("value",)

    def __init__(self, source: Source, line: int, column: int, value: Json) -> None:
        super().__init__(source, line, column)
        self.value = value

    @property
    def what(self) -> str:
        """The value as YAML would write it, with its type."""
        if self.value is None:
            return "nothing (null)"
        if isinstance(self.value, str):
            return f"'{shorten(self.value)}'"
        return scalar_text(self.value)


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, source: Source, line: int, column: int) -> None:
        super().__init__(source, line, column)
        self.items: list[Node] = []

    @property
    def what(self) -> str:
        """What a message calls it."""
        return "a list"


@dataclass(slots=True)
class Entry:
    """A key with its value; the key has a place of its own."""

    key: Scalar
    value: Node


class Mapped(Node):
    """A map. Keys are text, whatever they look like."""

    __slots__ = ("entries",)

    def __init__(self, source: Source, line: int, column: int) -> None:
        super().__init__(source, line, column)
        self.entries: dict[str, Entry] = {}

    @property
    def what(self) -> str:
        """What a message calls it."""
        return "a map"

    def get(self, key: str) -> Node | None:
        """The value of ``key``, if it is there."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def pairs(self) -> Iterator[tuple[str, Scalar, Node]]:
        """Each key, its node and its value."""
        for key, entry in self.entries.items():
            yield key, entry.key, entry.value


def plain(node: Node) -> Json:
    """The node's value without places."""
    if isinstance(node, Mapped):
        return {key: plain(value) for key, _, value in node.pairs()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.value


def scalar_text(value: Json) -> str:
    """A scalar as it stands in names and inside text: as YAML writes it.

    A list or map has no such form; its JSON stands for it where values are compared.
    """
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return f"{value:.1f}"
    return str(value)


def shorten(text: str, width: int = 80) -> str:
    """Text that fits into a message: one line, cut where it is long."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else text[: width - 3] + "..."
