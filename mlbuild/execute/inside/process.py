"""One job in a process of its own: where it is read, where its events go, how the process ends."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from .job import Event
from .run import run_job
from .watch import watch


def read_job(descriptor: int) -> dict[str, Any]:
    """What the engine wrote to a file without a name, from its beginning."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def run_and_exit(job: dict[str, Any], events: int | None) -> None:
    """Runs a job with its events on a pipe, or printed; ends the process without clean-up.

    Frameworks take their time, or hang, when they are torn down; what matters is flushed first.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    channel = Channel(events)
    channel.emit({"event": "pid", "pid": os.getpid()})
    ok = False
    watch()
    try:
        ok = run_job(job, channel.emit)
    finally:
        _flush()
        os._exit(0 if ok else 1)


class Channel:
    """Events out of this process: JSON lines on a pipe, or for a person on standard output."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.RLock()  # an event may be caused while one is written

    def emit(self, event: Event) -> None:
        """Sends one event; an engine that is gone, or a pipe that the stage closed, is no error."""
        if event["event"] == "error":
            _flush()
            with suppress(OSError, ValueError):  # the disk is full, or the stage closed it
                sys.stderr.write((event["traceback"] or f"error: {event['message']}") + "\n")
        if self._descriptor is None:
            if event["event"] not in ("log", "pid"):
                sys.stdout.write(json.dumps({k: v for k, v in event.items() if k != "traceback"}))
                sys.stdout.write("\n")
            return
        data = (json.dumps(event) + "\n").encode("ascii")
        with self._lock:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except OSError:
                    return


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    native = sys.modules.get("ctypes")  # no native library prints that Python did not load
    if native is not None:
        native.CDLL(None).fflush(None)
