"""Copying files into an output: plain copies, never links into somebody's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

from ..problem.problem import Problem


def copy_file(source: Path, folder: Path, name: str) -> Path:
    """Copy one file to a name below a folder.

    Raises:
        Problem: it cannot be read, or the name leads out of the folder.
    """
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise Problem(f"'{name}' leads out of its folder")
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise Problem(f"{name} cannot be copied: {error.strerror or error}") from error
    return target


def files_below(folder: Path) -> list[Path]:
    """All files, sorted by relative name; hidden ones and those of macOS archives are left out.

    Raises:
        Problem: a folder cannot be read, or there is no file.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        name = Path(str(error.filename)).name
        raise Problem(f"folder {name} cannot be read: {error.strerror}") from error

    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        found += [Path(where) / file for file in files if not file.startswith(".")]
    if not found:
        raise Problem(f"{folder.name} holds no files")
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())


def copy_tree(source: Path, target: Path) -> None:
    """Copy a file or folder whole, contents only."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
