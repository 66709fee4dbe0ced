"""Ctrl-C and SIGTERM as a flag: the queue looks at it, so that no event is lost half-read."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Flag:
    """Set once the user asked to stop; a second Ctrl-C raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._set

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self._set and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._set = True


@contextmanager
def noticed() -> Iterator[Flag]:
    """While a build goes on, signals set the flag; afterwards the former handlers are back."""
    flag = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag  # only the main thread may set handlers; the caller then owns the signals
        return
    former = {number: signal.signal(number, flag.receive) for number in _SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
