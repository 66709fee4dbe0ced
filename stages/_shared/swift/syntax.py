"""Whether Swift text parses."""

from __future__ import annotations

from typing import Any

import tree_sitter_swift
from tree_sitter import Language, Parser


def complaint(text: str) -> str | None:
    """The first place that is no Swift, ``line:column: text``; None where all is well."""
    tree = Parser(Language(tree_sitter_swift.language())).parse(text.encode("utf-8"))
    if not tree.root_node.has_error:
        return None
    node = _first_error(tree.root_node)
    row, column = node.start_point
    lines = text.splitlines()
    shown = lines[row].strip() if row < len(lines) else "end of the file"
    return f"{row + 1}:{column + 1}: {shown}"


def _first_error(node: Any) -> Any:
    while not (node.is_error or node.is_missing):
        inside = next((child for child in node.children if child.has_error), None)
        if inside is None:
            return node
        node = inside
    return node
