"""What lies beside the caches and is used no more: scratch, old logs, what was set aside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlbuild.store.gc.survey import Policy
from mlbuild.toolchains.footprint import size_of

_OLDER_ATTEMPT = re.compile(r".+\.log\.\d+")
_JOURNAL = "journal"


class Leftover(NamedTuple):
    """Something that can go as a whole."""

    kind: str  # scratch, log, no-op record, kept file, output, toolchain, dataset
    path: Path
    size: int
    last_use: float  # or when it was made; seconds since the epoch
    option: str = ""  # without it this stays


def leftovers(root: Path, policy: Policy) -> list[Leftover]:
    """What builds of a project left behind.

    Scratch with an open journal is none: the next run rolls it back, and what it set aside there
    may be the only copy.
    """
    found: list[Leftover] = []
    for work in sorted(root.glob("build/*/.work/*/")):
        item = _item("scratch", work)
        if not (work / _JOURNAL).exists() and policy.now - item.last_use > _grace(policy):
            found.append(item)
    found += [_item("scratch", aside) for aside in root.glob("build/*/.*.removing-*")]
    state = root / ".mlbuild"
    old = [_item("log", p) for p in _entries(state / "logs") if _OLDER_ATTEMPT.fullmatch(p.name)]
    old += [_item("no-op record", p) for p in _entries(state / "noop")]
    found += [item for item in old if policy.is_idle(item.last_use)]
    found += [_item("kept file", p, "--kept") for p in _entries(state / "kept")]
    return found


def measured(path: Path) -> tuple[int, float]:
    """Bytes and last change of a file or of all of a folder."""
    top = path.lstat()
    if not path.is_dir() or path.is_symlink():
        return top.st_size, top.st_mtime
    return size_of(path), max([top.st_mtime, *_times(path)])


def _times(folder: Path) -> Iterator[float]:
    for inner, folders, _ in os.walk(folder):
        yield from (Path(inner, name).lstat().st_mtime for name in folders)


def _item(kind: str, path: Path, option: str = "") -> Leftover:
    return Leftover(kind, path, *measured(path), option)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _grace(policy: Policy) -> float:
    return policy.grace_hours * 3600
