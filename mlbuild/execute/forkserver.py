"""The engine's side of a fork server; the other side is `inside/serve.py`.

A server imports what the stages of a toolchain need once and forks a child for each of them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.attempts import Task
from mlbuild.execute.attempt import Attempt, Channel, signal_group
from mlbuild.execute.environment import THREAD_VARIABLES
from mlbuild.execute.inside.startup.mlbuild_reads import VARIABLE as WATCHED
from mlbuild.records import Json

# What each stage has of its own: its child is told of it.
_OF_A_STAGE = frozenset({*THREAD_VARIABLES, WATCHED})
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class ServerKey:
    """Stages with the same key can be forked from one server."""

    python: str
    preload: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]  # at import time; thread counts are set in the child

    @classmethod
    def of(cls, task: Task) -> ServerKey:
        """The key of a task's server."""
        variables = {k: v for k, v in task.env.items() if k not in _OF_A_STAGE}
        return cls(str(task.python), task.preload, tuple(sorted(variables.items())))


class ForkServer:
    """One server process. ``waiting`` attempts are sent once its imports are done."""

    def __init__(self, key: ServerKey, first: Attempt) -> None:
        self.key, self.first = key, first
        self.ready = False
        self.broken: Mapping[str, Json] | None = None  # an import failed
        self.waiting: list[Attempt] = []
        self.running: dict[int, Attempt] = {}
        self._sent = 0
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = _start(key, theirs, first)
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self.socket = ours
        self.channel = Channel(ours.fileno())

    def send(self, attempt: Attempt, events: int) -> None:
        """Lets the server fork a child for this attempt.

        Raises:
            OSError: the server is gone, or does not read.
        """
        job = job_file({"job": attempt.task.job, **_surroundings(attempt.task)})
        try:
            socket.send_fds(self.socket, [b"J"], [job, attempt.log.descriptor, events])
        finally:
            os.close(job)
        self.running[self._sent] = attempt
        self._sent += 1

    def close(self) -> int:
        """Kills the server and reaps it; its exit code. Children see to themselves."""
        self.socket.close()
        signal_group(self.process.pid, signal.SIGKILL)
        return self.process.wait()


def job_file(content: Mapping[str, Json]) -> int:
    """A descriptor of a file without a name: a job may be larger than a pipe holds."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("job")  # never stands on a disk that is full
    else:
        import tempfile  # lazy: macOS only

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file_:
        json.dump(content, file_)
    return descriptor


def _start(key: ServerKey, theirs: socket.socket, first: Attempt) -> subprocess.Popen[bytes]:
    number = theirs.fileno()
    environment = {**dict(key.environment), **dict.fromkeys(THREAD_VARIABLES, "1")}
    # What libraries say while they are imported stands in the log of the first stage.
    return subprocess.Popen(
        [key.python, str(WORKER), "--serve", str(number), *key.preload],
        stdin=subprocess.DEVNULL,
        stdout=first.log.descriptor,
        stderr=first.log.descriptor,
        cwd=first.task.cwd,
        env=environment,
        pass_fds=(number,),
        start_new_session=True,
    )


def _surroundings(task: Task) -> dict[str, Json]:
    return {"env": dict(task.env), "cwd": str(task.cwd)}
