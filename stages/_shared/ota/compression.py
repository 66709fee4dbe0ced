"""Compression that Apple's Compression framework reads: raw deflate (``.zlib``) and xz (``.lzma``).

Equal bytes come from equal versions of zlib and liblzma; the toolchain pins both with its Python.
"""

from __future__ import annotations

import lzma
import zlib

from ..problem.problem import Problem

METHODS = ("none", "deflate", "lzma")
# Of a patch whose bytes are mostly 0, 9 takes thirty times as long for a tenth less.
_LEVEL, _MEMORY = 6, 9
_RAW = -15  # no zlib header: what Apple calls ZLIB is the bare stream of RFC 1951


def compress(data: bytes, method: str) -> tuple[bytes, str]:
    """The bytes and how they were made; ``none`` where compressing does not shrink."""
    packed = data
    if method == "deflate":
        stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, _MEMORY)
        packed = stream.compress(data) + stream.flush()
    elif method == "lzma":
        packed = lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=6)
    return (packed, method) if len(packed) < len(data) else (data, "none")


def expand(packed: bytes, method: str, size: int) -> bytes:
    """What was compressed, which must have exactly this size.

    Raises:
        Problem: it is damaged, or gives more or less.
    """
    if method not in METHODS:
        raise Problem(f"is compressed by {method!r}, known: {', '.join(METHODS)}")
    try:
        data, rest = _expanded(packed, method, size)
    except (zlib.error, lzma.LZMAError) as error:
        raise Problem(f"cannot be expanded: {error}") from error
    if len(data) != size or rest:
        raise Problem(f"expands to another size than {size} bytes")
    return data


def _expanded(packed: bytes, method: str, size: int) -> tuple[bytes, bool]:
    """At most a byte more than the size, and whether something is left or missing."""
    if method == "none":
        return packed, False
    if method == "deflate":
        stream = zlib.decompressobj(_RAW)
        data = stream.decompress(packed, size + 1)
        return data, not stream.eof or bool(stream.unused_data)
    reader = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    data = reader.decompress(packed, size + 1)
    return data, not reader.eof or bool(reader.unused_data)
