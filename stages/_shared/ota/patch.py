"""Patches: a file told by an older one (docs/ota.md, "Patches").

A patch is ``MLD1`` and instructions, numbers in little endian of 64 bits: ``C`` offset length
copies from the old file; ``I`` length bytes inserts; ``A`` offset length bytes copies and adds each
byte modulo 256, which is how weights that moved a little become small; ``E`` ends.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from ..problem.problem import Problem
from .matching import runs

_MAGIC = b"MLD1"
_PAIR, _ONE = struct.Struct("<QQ"), struct.Struct("<Q")
_SAMPLE = 1 << 16  # bytes by which adding and inserting are compared


def patch(old: bytes, new: bytes) -> bytes:
    """Instructions that make ``new`` of ``old``."""
    written = [_MAGIC]
    done, diagonal = 0, 0
    for run in runs(old, new):
        written.append(_changed(old, new, done, run.new, diagonal))
        written.append(b"C" + _PAIR.pack(run.old, run.length))
        done, diagonal = run.new + run.length, run.old - run.new
    written.append(_changed(old, new, done, len(new), diagonal))
    written.append(b"E")
    return b"".join(written)


def apply(old: bytes, instructions: bytes, size: int) -> bytes:
    """What a patch makes of an old file, which must have exactly this size.

    Raises:
        Problem: the patch is damaged, or leads out of the file.
    """
    if not instructions.startswith(_MAGIC):
        raise Problem("is no patch")
    made, place = bytearray(), len(_MAGIC)
    try:
        while (code := instructions[place : place + 1]) != b"E":
            piece, place = _made(code, old, instructions, place + 1)
            if len(made) + len(piece) > size:
                raise Problem("makes more than it should")
            made += piece
    except struct.error as error:
        raise Problem("ends too early") from error
    if place + 1 != len(instructions) or len(made) != size:
        raise Problem("makes another size than it should")
    return bytes(made)


def _made(code: bytes, old: bytes, instructions: bytes, place: int) -> tuple[bytes, int]:
    if code == b"I":
        (length,) = _ONE.unpack_from(instructions, place)
        place += _ONE.size
        return _taken(instructions, place, length), place + length
    if code not in (b"C", b"A"):
        raise Problem("holds an unknown instruction" if code else "ends too early")
    offset, length = _PAIR.unpack_from(instructions, place)
    place += _PAIR.size
    base = _taken(old, offset, length)
    if code == b"C":
        return base, place
    return _sum(base, _taken(instructions, place, length)), place + length


def _taken(data: bytes, offset: int, length: int) -> bytes:
    if offset + length > len(data):
        raise Problem("reads beyond the end")
    return data[offset : offset + length]


def _sum(one: bytes, other: bytes) -> bytes:
    return (np.frombuffer(one, np.uint8) + np.frombuffer(other, np.uint8)).tobytes()


def _changed(old: bytes, new: bytes, start: int, end: int, diagonal: int) -> bytes:
    """Instructions for a part that stands nowhere in the old file."""
    if start == end:
        return b""
    length, offset = end - start, start + diagonal
    inserted = b"I" + _ONE.pack(length) + new[start:end]
    if not 0 <= offset <= len(old) - length:
        return inserted
    moved = np.frombuffer(new[start:end], np.uint8) - np.frombuffer(
        old[offset : offset + length], np.uint8
    )
    added = b"A" + _PAIR.pack(offset, length) + moved.tobytes()
    return added if _weight(added) < _weight(inserted) else inserted


def _weight(instructions: bytes) -> int:
    """About how much is left after compression."""
    return len(zlib.compress(instructions[:_SAMPLE], 1))
