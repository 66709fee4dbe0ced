"""A file on its way: read piece by piece, its length known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_PIECE = 1 << 20


class Upload:
    """A file, or a part of one, as the body of a request; ``size`` bytes from ``start`` on."""

    def __init__(
        self,
        file: Path,
        size: int,
        tell: Callable[[int], None] | None = None,
        *,
        start: int = 0,
    ) -> None:
        self._file, self._size, self._tell = file, size, tell
        self._start, self._left = start, size
        self._source: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._source = self._file.open("rb")
        self._source.seek(self._start)
        self._left = self._size
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._source:
            self._source.close()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """What tells `requests` that this is a stream."""
        while piece := self.read(_PIECE):
            yield piece

    def read(self, most: int = _PIECE) -> bytes:
        """The next bytes."""
        assert self._source is not None
        piece = self._source.read(min(most if most >= 0 else _PIECE, self._left))
        self._left -= len(piece)
        if self._tell:
            self._tell(len(piece))
        return piece
