"""Paths with their stat data, folder by folder: short for the kernel, quick to load and compare."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import chain

from mlbuild.store.statcache import Sig

Group = tuple[str, str, bytes | list[int]]  # folder, names with NULs between, four numbers a name

_WORTH = 32  # names; for fewer, going to their folder costs more than their longer paths
_NOTHING = (-1, -1, -1, -1)


def grouped(seen: Mapping[str, Sig | None], root: str) -> list[Group]:
    """What `mlbuild.__main__` compares, as it reads it.

    Args:
        seen: absolute path -> its stat data; None: it was not there.
        root: what paths are made relative to, where they lie in it.
    """
    base, folders = root + "/", dict[str, list[tuple[str, Sig]]]()
    single: list[tuple[str, Sig]] = []
    for path, sig in seen.items():
        short = path.removeprefix(base)
        folder, _, name = short.rpartition("/")
        if sig is None or not folder:  # the folder of what is not there may not be there either
            single.append((short, sig or _NOTHING))
        else:
            folders.setdefault(folder, []).append((name, sig))
    groups = []
    for folder, entries in folders.items():
        if len(entries) < _WORTH:
            single += [(f"{folder}/{name}", sig) for name, sig in entries]
        else:
            groups.append(_group(folder, entries))
    return [_group("", single), *groups]


def _group(folder: str, entries: Iterable[tuple[str, Sig]]) -> Group:
    names = [name for name, _ in entries]
    numbers = list(chain.from_iterable(sig for _, sig in entries))
    try:
        return folder, "\0".join(names), array("q", numbers).tobytes()
    except OverflowError:  # an inode of 64 bits
        return folder, "\0".join(names), numbers
