"""Sees to it that no stage outlives the engine, even one that was ended by ``kill -9``.

A tiny shell waits on a pipe of which the engine holds the other end. When the pipe closes, for
whatever reason, it kills the process groups that then stand in a table: a file without a name that
both have open. Until then it also holds the pipeline's lock, so that no later build writes where a
stage of a killed one still does. Nobody is woken when a stage begins or ends, which would cost more
than a small stage itself. Stages cannot do this themselves: the kernel signals direct children
only, and a `run:` command has no place for it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress

# Nothing is ever written to the pipe. A shell can name no more than the first few descriptors, so
# the table is standard input and the pipe standard output.
_SCRIPT = """
trap '' HUP INT QUIT TERM
read -r line <&1
while read -r group; do
  if [ -n "$group" ]; then kill -KILL "-$group" 2>/dev/null; fi
done
"""
_ROW = 12  # bytes: a number, blanks, a newline


class Guardian:
    """One for each executor; started with its first process."""

    def __init__(self, held: int | None = None) -> None:
        """Starts nothing yet.

        Args:
            held: a descriptor of the pipeline's lock.
        """
        self._held = held
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._table = -1
        self._rows: dict[int, int] = {}  # group -> its row in the table
        self._free: list[int] = []

    def begins(self, group: int) -> None:
        """A process group that must not outlive the engine."""
        if self._process is None:
            with suppress(OSError):  # no more processes: the stage itself is told so, if it is
                self._start()
        row = self._free.pop() if self._free else len(self._rows)
        self._rows[group] = row
        self._write(row, str(group))

    def ends(self, group: int) -> None:
        """The group is gone; its number may become a stranger's."""
        row = self._rows.pop(group, None)
        if row is not None:
            self._write(row, "")
            self._free.append(row)

    def close(self) -> None:
        """Ends the guardian, and every group that is still there."""
        if self._process is None:
            return
        os.close(self._pipe)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # stopped by somebody
            self._process.kill()
            self._process.wait()
        os.close(self._table)
        self._process, self._pipe, self._table = None, -1, -1

    def _start(self) -> None:
        table = _nameless_file()
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=table,
                stdout=reading,
                # Nothing is written there: that it is open keeps the lock.
                stderr=subprocess.DEVNULL if self._held is None else self._held,
                cwd="/",
                env={},
                start_new_session=True,  # Ctrl-C is for the engine
            )
        except OSError:
            os.close(writing)
            os.close(table)
            raise
        finally:
            os.close(reading)
        self._pipe, self._table = writing, table

    def _write(self, row: int, text: str) -> None:
        if self._table >= 0:
            with suppress(OSError):  # a full disk: stages still run, and still end normally
                # Not `write`: the guardian reads from where this descriptor, which it shares,
                # stands.
                os.pwrite(self._table, text.ljust(_ROW - 1).encode() + b"\n", row * _ROW)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mlbuild-groups")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
