"""Which projects' own stage kinds may be imported.

Planning with kinds of a project runs its specs, so they are imported only after the project was
accepted once on this machine. A CI job has nobody to ask: what it checked out is what it trusts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from mlbuild.toolchains.places import cache_dir


def is_trusted(root: Path) -> bool:
    """Whether the project's kinds may be imported."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        return True
    return str(root.resolve()) in _read()


def accept(root: Path) -> None:
    """Remembers that the user accepted the project at this place."""
    known = _read() | {str(root.resolve())}
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f"{file.name}.{os.getpid()}")
    scratch.write_text(json.dumps(sorted(known), indent=1) + "\n", encoding="utf-8")
    scratch.replace(file)


def _file() -> Path:
    return cache_dir() / "trusted.json"


def _read() -> set[str]:
    try:
        return set(json.loads(_file().read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return set()
