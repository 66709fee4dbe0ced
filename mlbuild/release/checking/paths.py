"""Which paths a release may name: inside the folder, the same file on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

_MAX_LENGTH = 4096  # Linux takes no longer path
_Names = dict[str, tuple[str, Any]]  # folded name -> path as first spelled, names inside


def why_unsafe(path: str) -> str | None:
    """What is wrong with a path of a manifest; None if it stays in the folder everywhere."""
    if not path:
        return "it is empty"
    if len(path) >= _MAX_LENGTH:
        return f"it is longer than {_MAX_LENGTH} characters"
    if path.startswith("/"):
        return "it is absolute"
    if "\\" in path:
        return "it holds a backslash, which parts folders on other systems"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
        return "it holds a control character"
    parts = path.split("/")
    if ".." in parts:
        return "it leads outside of the folder"
    if "" in parts or "." in parts:
        return "it is not the plain spelling of a path"
    return None


def collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of paths, or of folders on the way, that are one and the same on macOS or Windows."""
    top: _Names = {}
    found: dict[tuple[str, str], None] = {}
    for path in paths:
        names, before = top, ""
        for part in path.split("/"):
            first, inner = names.setdefault(_folded(part), (before + part, {}))
            if first != before + part:
                found[(first, before + part)] = None
                break
            names, before = inner, f"{first}/"
    return list(found)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
