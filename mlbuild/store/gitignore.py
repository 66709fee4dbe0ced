"""`.gitignore` entries for outputs, as DVC writes them."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from mlbuild.store.files import explained, write_atomic


def git_top(root: Path) -> Path | None:
    """The work tree that a folder lies in."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return folder
    return None


def ignore(root: Path, paths: Collection[str]) -> list[Path]:
    """Adds each path that git does not ignore yet to the `.gitignore` beside it.

    Args:
        root: the project; nothing happens where it is not in git.
        paths: relative to the root.

    Returns:
        The files that were changed.
    """
    if not paths or git_top(root) is None:
        return []
    known = _ignored(root, paths)
    wanted: dict[Path, list[str]] = defaultdict(list)
    for path in paths:
        if path not in known:
            folder, _, name = path.rpartition("/")
            wanted[root / folder / ".gitignore"].append(_line(name))
    return [file for file, lines in wanted.items() if _edit(file, add=lines)]


def unignore(root: Path, paths: Iterable[str]) -> None:
    """Takes the entries of outputs that no stage makes any more out again."""
    if git_top(root) is None:
        return
    gone: dict[Path, set[str]] = defaultdict(set)
    for path in paths:
        folder, _, name = path.rpartition("/")
        gone[root / folder / ".gitignore"].add(_line(name))
    for file, lines in gone.items():
        if file.exists():
            _edit(file, drop=lines)


def tracked(root: Path, path: str) -> bool:
    """Whether git itself keeps a file, or anything in a folder."""
    if git_top(root) is None:
        return False
    return bool(_git(root, ["ls-files", "-z", "--", f":(literal){path}"], b""))


def _edit(file: Path, add: Collection[str] = (), drop: Collection[str] = ()) -> bool:
    with explained("writing", file):
        text = file.read_text("utf-8", "surrogateescape") if file.exists() else ""
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        kept = [line for line in lines if line.strip() not in drop]
        new = [line for line in add if line not in kept]
        if kept == lines and not new:
            return False
        if not kept and not new:
            file.unlink()
            return True
        result = "".join(f"{line}\n" for line in [*kept, *new])
        write_atomic(file, result.encode("utf-8", "surrogateescape"))
    return True


def _line(name: str) -> str:
    return "/" + re.sub(r"([\[\]!*#?])", r"\\\1", name)


def _ignored(root: Path, paths: Collection[str]) -> set[str]:
    stdin = b"".join(os.fsencode(p) + b"\0" for p in paths)
    found = _git(root, ["check-ignore", "-z", "--stdin", "--no-index"], stdin)
    return {os.fsdecode(p) for p in found.split(b"\0") if p}


def _git(root: Path, args: list[str], stdin: bytes) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *args], input=stdin, capture_output=True, check=False
        ).stdout
    except OSError:
        return b""  # no git program: entries are added, at worst once too often
