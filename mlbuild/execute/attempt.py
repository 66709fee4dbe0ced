"""One attempt at one stage while it runs: its process, what it told, how it must end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mlbuild.attempts import Advanced, ExecutionEvent, Logged, Task
from mlbuild.execute import failures
from mlbuild.execute.logs import Log
from mlbuild.records import Failure, Json

_CHUNK = 65_536
_MOST = 256  # chunks read at one go, so that one noisy stage cannot starve the others
_LONGEST = 1 << 22  # bytes of one event; whatever is longer did not come from our worker


@dataclass(eq=False, slots=True)
class Attempt:
    """One attempt. ``group`` is the number of its process and of its process group."""

    task: Task
    log: Log
    began: float  # on the monotonic clock
    group: int | None = None
    process: subprocess.Popen[bytes] | None = None  # None: forked by a fork server
    exit_watch: int | None = None  # a pidfd
    channel: Channel | None = None  # events of the worker
    output: int | None = None  # what it prints, where secrets must be masked
    greeted: bool = False  # the worker has begun
    told: Mapping[str, Json] | None = None  # "done" or "error"
    stopped: Failure | None = None  # why the engine ends it
    kill_at: float | None = None
    killed: bool = False
    code: int | None = None  # it ended, others of its group have not

    @property
    def deadline(self) -> float | None:
        """When the attempt has taken too long."""
        limit = self.task.timeout_seconds
        return None if limit is None else self.began + limit

    def signal(self, number: signal.Signals) -> None:
        """Signals the whole group."""
        if self.group is not None:
            signal_group(self.group, number)

    def events(self) -> list[ExecutionEvent]:
        """What the worker told since the last call."""
        if self.channel is None:
            return []
        events = (self._understood(message) for message in self.channel.read())
        return [event for event in events if event is not None]

    def copy_output(self) -> bool:
        """Copies what the process printed to its log; whether more may come."""
        if self.output is None:
            return False
        for data in _chunks(self.output):
            if not data:
                return False
            self.log.copy(data)
        return True

    def verdict(self, code: int) -> Failure | None:
        """Why the attempt failed, with the last lines of its log; None: it did not."""
        failure = self._judgement(code)
        return None if failure is None else self.described(failure)

    def described(self, failure: Failure) -> Failure:
        """The failure with the last lines of the log, and without secrets."""
        lines = self.log.tail()
        self.log.write(f"--- {failure.message}\n")
        hide = self.log.hide
        return replace(
            failure,
            message=hide(failure.message),
            hint=None if failure.hint is None else hide(failure.hint),
            traceback=None if failure.traceback is None else hide(failure.traceback),
            tail=lines,
        )

    def _judgement(self, code: int) -> Failure | None:
        if self.task.argv is not None:
            return self.stopped or failures.command_ended(code)
        if self.told is None:
            return self.stopped or failures.worker_ended(code, self.greeted)
        if self.told["event"] == "done":
            return None
        return self.stopped or _told_failure(self.told)

    def _understood(self, message: Mapping[str, Json]) -> ExecutionEvent | None:
        name, hide = self.task.stage, self.log.hide
        try:
            match message["event"]:
                case "progress":
                    done, total = float(message["done"]), message["total"]
                    text = hide(str(message["text"]))
                    return Advanced(name, done, None if total is None else float(total), text)
                case "log":
                    return Logged(name, hide(str(message["text"])))
                case "done" | "error":
                    self.told = message
                case "pid" if not self.greeted:
                    self.greeted = True
                    self.group = self.group or int(message["pid"])
        except (KeyError, TypeError, ValueError):
            return None  # a stage found the pipe and wrote to it
        return None


@dataclass(eq=False, slots=True)
class Channel:
    """JSON lines from a pipe or socket that never blocks."""

    descriptor: int
    _rest: bytes = b""
    ended: bool = False

    def read(self) -> list[Mapping[str, Json]]:
        """The messages that have arrived; sets ``ended`` where no more can come."""
        for data in _chunks(self.descriptor):
            if not data:
                self.ended = True
                break
            self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > _LONGEST:
            self._rest = b""
        return [m for m in map(_message, lines) if m is not None]


def signal_group(group: int, number: signal.Signals) -> None:
    """Signals a process group; one that is gone already, or a zombie, is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def group_lives(group: int) -> bool:
    """Whether anything still runs in a group whose first process was reaped."""
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    if not Path("/proc/self/stat").exists():  # macOS
        return True
    # Orphans that have ended may stay zombies for long: few containers have a real init.
    return any(_runs_in(status, group) for status in Path("/proc").glob("[0-9]*/stat"))


def _runs_in(status: Path, group: int) -> bool:
    try:
        state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):  # it ended meanwhile
        return False
    return int(its_group) == group and state not in "ZX"


def _told_failure(told: Mapping[str, Json]) -> Failure:
    traceback, hint = told.get("traceback"), told.get("hint")
    return Failure(
        str(told.get("message")),
        None if hint is None else str(hint),
        None if traceback is None else str(traceback),
    )


def _message(line: bytes) -> Mapping[str, Json] | None:
    try:
        message = json.loads(line)
    except ValueError:  # also bytes that are no text
        return None
    return message if isinstance(message, dict) else None


def _chunks(descriptor: int) -> Iterator[bytes]:
    """What can be read now; an empty chunk at the end of the stream."""
    for _ in range(_MOST):
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a socket whose other end was killed
            data = b""
        yield data
        if not data:
            return
