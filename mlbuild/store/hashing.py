"""Digests of files with the stat data that belong to them; of many files on all cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlbuild.errors import DataError
from mlbuild.lazily import lazily
from mlbuild.store.files import explain
from mlbuild.store.meter import Meter
from mlbuild.store.reading import content_md5
from mlbuild.store.small import LARGE
from mlbuild.store.statcache import Sig
from mlbuild.store.ticks import settled
from mlbuild.store.twins import Twins
from mlbuild.store.walking import sig_of
from mlbuild.store.workers import MANY, cores, spread

if TYPE_CHECKING:
    from concurrent import futures
else:
    futures = lazily("concurrent.futures")  # with logging: 7 ms

_THREADED = 64 << 10  # bytes; taking the MD5 of more, threads do not stand in each other's way


class Read(NamedTuple):
    """What a file was when it was read."""

    md5: str
    sig: Sig
    calm: bool  # a later change must show in the stat data


def read_one(path: str, twins: Twins, meter: Meter) -> Read:
    """Reads one file.

    Raises:
        DataError: unreadable, or it never comes to rest.
    """
    for _ in range(3):
        now = time.time_ns()
        try:
            before = sig_of(os.stat(path))  # noqa: PTH116
            md5 = content_md5(path, twins, meter)
            after = sig_of(os.stat(path))  # noqa: PTH116
        except OSError as error:
            raise explain(error, "reading", Path(path)) from error
        if before == after:
            return Read(md5, after, settled(after, now))
    raise DataError(f"{path} keeps changing while it is read", hint="run again when it is at rest")


def read_all(
    files: Sequence[tuple[str, int]], twins: Twins, meter: Meter, threads: int = 0
) -> Iterator[tuple[str, Read]]:
    """Reads many files, the small ones first.

    Args:
        files: path and size of each.
        twins: what is known of large contents.
        meter: told of what is done.
        threads: how many large files are read at once; 0: as many as there are cores.

    Yields:
        Path and what was read, in any order.
    """
    now = time.time_ns()
    # Few files of some size are better read on threads, which start at once.
    limit = LARGE if len(files) >= MANY else _THREADED
    small = [path for path, size in files if size < limit]
    done = iter(small)
    with closing(spread("rows", small)) as parts:
        for row in chain.from_iterable(parts):
            path = next(done)
            if row is None:  # gone, without rights, not at rest: the long way has the words for it
                yield path, read_one(path, twins, meter)
            else:
                sig = row[:4]
                meter.add(sig[0])
                yield path, Read(row[4], sig, settled(sig, now))
    large = [path for path, size in files if size >= limit]
    with futures.ThreadPoolExecutor(min(threads or cores(), max(1, len(large)))) as pool:
        try:
            reads = pool.map(lambda path: read_one(path, twins, meter), large)
            yield from zip(large, reads, strict=True)
        except BaseException:
            meter.stop()  # or Ctrl-C would wait for what is being read
            pool.shutdown(wait=False, cancel_futures=True)
            raise
