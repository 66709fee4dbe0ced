"""Digests of folders that anybody can check with ``sha256sum``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def files_of(folder: Path) -> list[dict[str, Any]]:
    """Every file below a folder with size and SHA-256, by path."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_file():
            data = path.read_bytes()
            found.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "size_bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
            )
    return found


def tree_sha256(files: Sequence[Mapping[str, Any]]) -> str:
    """One digest of a folder: of the lines that ``sha256sum`` prints for its sorted files."""
    lines = "".join(f"{f['sha256']}  {f['path']}\n" for f in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def model_sha256(model: Path) -> str:
    """The digest by which reports name the model that they are about, a folder or a file."""
    if model.is_file():
        return hashlib.sha256(model.read_bytes()).hexdigest()
    return tree_sha256(files_of(model))
