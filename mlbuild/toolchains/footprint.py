"""How much disk a folder takes."""

from __future__ import annotations

import os
from pathlib import Path


def size_of(folder: Path) -> int:
    """Bytes that the files below ``folder`` take, each inode counted once."""
    seen: set[tuple[int, int]] = set()
    total, stack = 0, [folder]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(Path(entry.path))
                    continue
                stat = entry.stat(follow_symlinks=False)
                if (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    total += stat.st_size
    return total
