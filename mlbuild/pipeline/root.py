"""Where a project begins."""

from __future__ import annotations

from pathlib import Path

_MARKS = (".git", ".dvc", "pyproject.toml")


def project_root(file: Path) -> Path:
    """The folder that paths in the pipeline file ``file`` are relative to.

    The nearest folder above the file that holds ``.git``, ``.dvc`` or ``pyproject.toml``; else
    the parent of a folder named ``pipelines``; else the file's own folder.
    """
    folder = Path(file).absolute().parent
    # Resolved, so that a project reached through a link is the same project.
    folder = folder.resolve()
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    for candidate in (folder, *folder.parents):
        if candidate.name == "pipelines":
            return candidate.parent
    return folder
