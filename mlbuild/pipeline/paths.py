"""Paths of the pipeline file: relative to the project root, with '/'."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

_OURS = (".git", ".dvc", ".mlbuild")


class OutsideError(ValueError):
    """An output would lie where no output may."""


def project_path(text: str, root: Path) -> str:
    """The path in its shortest form: relative where it lies in the project, else as it is."""
    text = posixpath.normpath(text)
    if posixpath.isabs(text):
        try:
            return Path(text).relative_to(root).as_posix()
        except ValueError:
            return text
    if text.startswith("../"):
        # Out of the project and back in: "../main/data" from within "main".
        whole = posixpath.normpath(posixpath.join(root.as_posix(), text))
        if whole == root.as_posix():
            return "."
        if whole.startswith(root.as_posix() + "/"):
            return whole[len(root.as_posix()) + 1 :]
    return text


def output_path(text: str, root: Path) -> str:
    """The path of an output, which lies in the project.

    Raises:
        OutsideError: it lies elsewhere, or where git, DVC and mlbuild keep their own files.
    """
    path = project_path(text, root)
    if path == ".":
        raise OutsideError("is the whole project")
    if path.startswith("../") or path == ".." or posixpath.isabs(path) or path[:1] == "~":
        raise OutsideError("lies outside the project")
    first = path.split("/", 1)[0]
    if first in _OURS:
        raise OutsideError(f"lies in '{first}', which is no place for outputs")
    return path


def parents(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first; "." is above all relative ones."""
    while path not in ("", ".", "/"):
        path = posixpath.dirname(path) or "."
        yield path


def is_there(path: str, root: Path) -> bool:
    """Whether data lies at the path, or DVC knows it there: then it can be pulled."""
    whole = str(Path(path).expanduser()) if path[:1] == "~" else path
    if not posixpath.isabs(whole):
        whole = f"{root}/{path}"
    # os.path: ten thousand inputs are looked up here.
    if os.path.lexists(whole) or os.path.lexists(f"{whole}.dvc"):
        return True
    return any(
        os.path.lexists(f"{root}/{above}.dvc")
        for above in parents(path)
        if above != "." and not above.startswith("..") and not posixpath.isabs(path)
    )
