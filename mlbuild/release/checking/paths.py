"""Which paths a release may name: inside the folder, the same file on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def why_unsafe(path: str) -> str | None:
    """What is wrong with a path of a manifest; None if it stays in the folder everywhere."""
    if not path:
        return "it is empty"
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
    spelled: dict[str, str] = {}
    found: dict[tuple[str, str], None] = {}
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            prefix = "/".join(parts[:end])
            first = spelled.setdefault(_folded(prefix), prefix)
            if first != prefix:
                found[(first, prefix)] = None
                break
    return list(found)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
