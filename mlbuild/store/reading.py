"""Files read from end to end, for their digests.

A large file is read once for both of its digests (`twins.py`): while one thread takes the MD5 of a
piece, which sets the pace, another fetches the next one and takes its BLAKE3.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mlbuild.fingerprint import file_md5
from mlbuild.lazily import lazily
from mlbuild.store.meter import Meter
from mlbuild.store.small import LARGE
from mlbuild.store.twins import Twins

if TYPE_CHECKING:
    from concurrent import futures
else:
    futures = lazily("concurrent.futures")  # with logging: 7 ms

_PIECE = 1 << 20
_PIPELINED = 16 << 20  # bytes; below, a second thread is not worth its start


def content_md5(path: str, twins: Twins | None = None, meter: Meter | None = None) -> str:
    """The MD5 of a file's bytes, by way of its BLAKE3 where that is known already."""
    size = os.stat(path).st_size  # noqa: PTH116 - hot
    if twins is None or size < LARGE:
        md5 = file_md5(path)
        if meter:
            meter.add(size)
        return md5
    blake3 = None
    if twins.any_of(size):
        blake3 = content_blake3(path)
        known = twins.md5(blake3)
        if known is not None:
            if meter:
                meter.add(size)
            return known
    md5, also, read = _both(path, meter)
    # What changed between two readings is noticed by the stat data, but no pair may come of it.
    if read == size and blake3 in (None, also):
        twins.learn(size, md5, also)
    return md5


def has_content(path: str, md5: str, twins: Twins | None = None) -> bool:
    """Whether a file's bytes are those of a digest."""
    twin = twins.of_md5(md5) if twins else None
    if twin is None:
        return content_md5(path, twins) == md5
    return os.stat(path).st_size == twin.size and content_blake3(path) == twin.blake3  # noqa: PTH116


def content_blake3(path: str) -> str:
    """The BLAKE3 of a file's bytes.

    Not by mmap, which is a third faster: a file that is cut short meanwhile would kill the process.
    """
    from blake3 import blake3  # lazy: most runs read no large file

    hasher = blake3()
    for piece in _pieces(path, lambda piece: None):
        hasher.update(piece)
    return hasher.hexdigest()


def _both(path: str, meter: Meter | None) -> tuple[str, str, int]:
    """MD5 and BLAKE3 of the same bytes, and how many there were."""
    from blake3 import blake3  # lazy: most runs read no large file

    identity, detector, read = hashlib.md5(usedforsecurity=False), blake3(), 0
    for piece in _pieces(path, detector.update):
        identity.update(piece)
        read += len(piece)
        if meter:
            meter.add(len(piece))
    return identity.hexdigest(), detector.hexdigest(), read


def _pieces(path: str, before: Callable[[memoryview], object]) -> Iterator[memoryview]:
    """A file piece by piece; while one is used, the next is fetched and given to ``before``."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        buffers = [memoryview(bytearray(_PIECE)), memoryview(bytearray(_PIECE))]

        def fetch(buffer: memoryview) -> memoryview:
            piece = buffer[: file.readinto(buffer)]
            before(piece)
            return piece

        if os.fstat(file.fileno()).st_size < _PIPELINED:
            while piece := fetch(buffers[0]):
                yield piece
            return
        with futures.ThreadPoolExecutor(1) as helper:
            coming, turn = helper.submit(fetch, buffers[0]), 0
            while piece := coming.result():
                turn ^= 1
                coming = helper.submit(fetch, buffers[turn])
                yield piece
