"""Plain values in a file of `.mlbuild/`, whole or not at all; losing one costs time only.

Each bears the number of the folder that it was written into: what came with a clone or an archive
is not believed, or a stranger could say there what a pipeline is.
"""

from __future__ import annotations

import contextlib
import marshal
import os
from binascii import crc32
from pathlib import Path
from typing import Any

from mlbuild.store.files import write_atomic

_HEAD = 8


def keep(file: Path, facts: tuple[Any, ...], most: int = 50) -> None:
    """Writes facts; a full disk is no reason to fail a build.

    Args:
        file: where.
        facts: of what marshal knows: numbers, strings, tuples, lists, dicts.
        most: how many such files may lie in the folder; the oldest go first.
    """
    with contextlib.suppress(OSError):
        limit(file.parent, most)
        file.parent.mkdir(parents=True, exist_ok=True)
        data = marshal.dumps((file.parent.stat().st_ino, facts))
        write_atomic(file, b"%08x" % crc32(data) + data, sync=False)


def recall(file: Path) -> tuple[Any, ...] | None:
    """What was kept; None where there is nothing, or nothing whole."""
    try:
        raw = file.read_bytes()
        # marshal trusts its input: only what this program wrote whole is given to it.
        if raw[:_HEAD] != b"%08x" % crc32(raw[_HEAD:]):
            return None
        folder, facts = marshal.loads(raw[_HEAD:])
        if folder != file.parent.stat().st_ino:
            return None
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return facts if isinstance(facts, tuple) else None


def limit(folder: Path, most: int) -> None:
    """Makes room in a folder that would grow for ever: the oldest files go."""
    with contextlib.suppress(FileNotFoundError):
        entries = list(os.scandir(folder))
        if len(entries) >= most:
            for entry in sorted(entries, key=lambda e: e.stat().st_mtime)[: most // 5]:
                Path(entry.path).unlink(missing_ok=True)
