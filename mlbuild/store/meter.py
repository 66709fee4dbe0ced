"""How far long reading has come, told now and then."""

from __future__ import annotations

import threading
import time

from mlbuild.records import Progress

_QUIET_SECONDS = 0.5  # what takes less needs no bar
_BETWEEN_SECONDS = 0.1


class Meter:
    """Counts bytes, from any thread, and tells of them as one who asked for it wants to hear.

    Args:
        progress: told of bytes done and in all; from whatever thread adds them, one at a time.
        text: what is being done, for people.
        total: bytes in all; None: nobody knows.
    """

    def __init__(self, progress: Progress | None, text: str, total: int | None) -> None:
        self._progress, self._text, self._total = progress, text, total
        self._done = 0
        self._next = time.monotonic() + _QUIET_SECONDS
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Whoever adds anything from now on is interrupted."""
        self._stopped = True

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        if self._stopped:
            raise InterruptedError
        with self._lock:
            self._done += count
            now = time.monotonic()
            if self._progress and now >= self._next:
                self._next = now + _BETWEEN_SECONDS
                of = f" of {_size(self._total)}" if self._total is not None else ""
                text = f"{self._text}: {_size(self._done)}{of}"
                self._progress(self._done, self._total, text)


UNHEARD = Meter(None, "", None)  # nobody wants to know


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
