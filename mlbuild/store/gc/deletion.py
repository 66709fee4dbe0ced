"""Deletes what nobody needs, in an order that leaves no promise broken when it is cut off."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from mlbuild.datasets import cached
from mlbuild.errors import DataError
from mlbuild.records import Progress
from mlbuild.store.files import checkpoint, explained, remove
from mlbuild.store.gc.collect import Findings
from mlbuild.store.gc.inventory import Entry, Object
from mlbuild.store.gc.leftovers import Leftover
from mlbuild.toolchains import Toolchains


@dataclass(slots=True)
class Deleted:
    """What was deleted."""

    results: int = 0
    objects: int = 0
    others: int = 0
    size: int = 0


def sweep(found: Findings, shown: Findings, progress: Progress | None = None) -> Deleted:
    """Deletes what this look and the one that the user saw have in common.

    Entries of the run cache go before the listings of folders, these before files: whenever this is
    cut off, nothing is left that promises what is gone.
    """
    if not set(found.roots) <= set(shown.roots):
        raise DataError("a checkout was added meanwhile; nothing was deleted", hint="try again")
    done = Deleted()
    for cache, seen in zip(found.caches, shown.caches, strict=True):
        known = {entry.file for entry in seen.entries}
        for entry in cache.entries:
            if entry.file in known:
                _delete_entry(entry, done)
        both = [md5 for md5 in cache.objects if md5 in seen.objects]
        both.sort(key=lambda md5: not md5.endswith(".dir"))
        for count, md5 in enumerate(both, 1):
            _delete_object(cache.cache.path(md5), cache.objects[md5], done)
            if progress and count % 1000 == 0:
                progress(count, len(both), f"deleted {count} of {len(both)} objects")
        for path, facts in cache.half_written:
            _delete_file(path, facts, "gc:half-written")
            done.size += facts.size
    paths = {item.path for item in shown.leftovers}
    for item in found.leftovers:
        if item.path in paths:
            _delete_leftover(item, done)
    return done


def _delete_entry(entry: Entry, done: Deleted) -> None:
    if _delete_file(entry.file, entry.seen, "gc:entry"):
        done.results += 1
        done.size += entry.seen.size
        with contextlib.suppress(OSError):  # others of the same key are in it
            entry.file.parent.rmdir()


def _delete_object(path: Path, seen: Object, done: Deleted) -> None:
    if _delete_file(path, seen, "gc:listing" if path.suffix == ".dir" else "gc:object"):
        done.objects += 1
        done.size += seen.size


def _delete_file(path: Path, seen: Object, point: str) -> bool:
    """Deletes what was looked at; not what somebody wrote anew in its place meanwhile."""
    checkpoint(point)
    with explained("deleting", path):
        try:
            now = path.lstat()
        except FileNotFoundError:
            return False
        if (now.st_ino, now.st_mtime_ns, now.st_ctime_ns) != seen[1:]:
            return False
        path.unlink()
        return True


def _delete_leftover(item: Leftover, done: Deleted) -> None:
    checkpoint("gc:leftover")
    with explained("deleting", item.path):
        if not os.path.lexists(item.path):
            return
        if item.kind == "toolchain":
            Toolchains(item.path, {}, item.path.parents[1]).remove(item.path.name)
        elif item.kind == "dataset":
            cached.discard(item.path)
        elif item.path.is_dir() and not item.path.is_symlink():
            # Out of sight first, so that half of it is never taken for the whole.
            aside = item.path.with_name(f".{item.path.name[:60]}.removing-{os.getpid()}")
            item.path.rename(aside)
            checkpoint("gc:aside")
            remove(aside)
        else:
            item.path.unlink()
    done.others += 1
    done.size += item.size
