"""Sees to it that no stage outlives the engine, even one that was ended by ``kill -9``.

A tiny shell waits on a pipe of which the engine holds the other end, and is told of each process
group that begins and ends. When the pipe closes, for whatever reason, it kills the groups that are
left. Stages cannot do this themselves: the kernel signals direct children only, and a `run:`
command has no place for it.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

_SCRIPT = """
trap '' HUP INT QUIT TERM
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
"""


class Guardian:
    """One for each executor; started with its first process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    def begins(self, group: int) -> None:
        """A process group that must not outlive the engine."""
        if self._process is None:
            with suppress(OSError):  # no more processes: the stage itself is told so, if it is
                self._start()
        self._tell(f"+ {group}\n")

    def ends(self, group: int) -> None:
        """The group is gone; its number may become a stranger's."""
        self._tell(f"- {group}\n")

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
        self._process, self._pipe = None, -1

    def _start(self) -> None:
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,  # Ctrl-C is for the engine
            )
        except OSError:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        os.set_blocking(writing, False)
        self._pipe = writing

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # somebody killed it: stages still run, and still end normally
            os.write(self._pipe, line.encode())
