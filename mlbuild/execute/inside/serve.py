"""A fork server: imports what its stages need once, then forks a child for each of them.

The engine sends one byte with three descriptors (job, log, events) for each stage. The server
answers with JSON lines: ``ready`` or ``broken`` once, then ``ended`` with the status of a child and
the number of its job. When the engine's end of the socket closes, everything here ends.
"""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import array
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
from typing import Any

from .process import read_job, run_and_exit
from .trace import headline, stage_traceback

_PR_SET_PDEATHSIG = 1


def serve(descriptor: int, preload: list[str]) -> None:
    """Serves until the engine is gone; never returns."""
    engine = socket.socket(fileno=descriptor)
    engine.set_inheritable(False)
    die_with_parent(signal.SIGTERM, os.getppid())
    problem = _preload(preload)
    _flush()  # or each child would say again what the imports said
    _tell(engine, problem or {"event": "ready"})
    if problem:
        os._exit(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page
    _Server(engine).loop()
    os._exit(0)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what native libraries printed


def die_with_parent(number: int, parent: int) -> None:
    """Asks the kernel to signal this process when its parent dies; Linux only."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)


def _preload(modules: list[str]) -> dict[str, Any] | None:
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # sys.exit in an import must not pass for an ending
            trace = stage_traceback(error)
            sys.stderr.write(trace + "\n")
            message = f"module '{name}' cannot be imported: {headline(error)}"
            return {"event": "broken", "message": message[:4000], "traceback": trace}
    return None


def _tell(engine: socket.socket, event: dict[str, Any]) -> None:
    engine.sendall((json.dumps(event) + "\n").encode("ascii"))


class _Server:
    """The loop: jobs in, children's ends out."""

    def __init__(self, engine: socket.socket) -> None:
        self.engine = engine
        self.jobs = 0
        self.children: dict[int, int] = {}  # pid -> number of its job
        self.wake, waker = os.pipe()
        for end in (self.wake, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def loop(self) -> None:
        """Ends when the engine's end of the socket closes."""
        while True:
            readable, _, _ = select.select([self.engine.fileno(), self.wake], [], [])
            if self.wake in readable:
                os.read(self.wake, 4096)
                self._reap()
            if self.engine.fileno() in readable:
                received = _receive(self.engine)
                if received is None:
                    self._end()
                else:
                    self._fork(*received)

    def _fork(self, job: int, log: int, events: int) -> None:
        number, server = self.jobs, os.getpid()
        self.jobs += 1
        pid = os.fork()
        if pid == 0:
            try:
                self._become_child(server, job, log, events)
            finally:
                os._exit(70)
        self.children[pid] = number
        for descriptor in (job, log, events):
            os.close(descriptor)

    def _become_child(self, server: int, job: int, log: int, events: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        die_with_parent(signal.SIGKILL, server)
        self.engine.close()
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        content = read_job(job)
        os.environ.clear()
        os.environ.update(content["env"])
        os.chdir(content["cwd"])
        tempfile.tempdir = None  # an import may have settled it for the server
        run_and_exit(content["job"], events)

    def _reap(self) -> None:
        """Ends what a dead child left behind in its group, then tells of the child."""
        for pid in list(self.children):
            # Not reaped yet, so that the number cannot belong to a stranger when it is signalled.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill_group(pid)
            status = os.waitpid(pid, 0)[1]
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            _tell(self.engine, {"event": "ended", "job": self.children.pop(pid), "code": code})

    def _end(self, number: int = 0, frame: Any = None) -> None:
        for pid in self.children:
            _kill_group(pid)
        os._exit(0)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # a child that has not called setsid yet has no group
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            continue


def _receive(engine: socket.socket) -> tuple[int, int, int] | None:
    """The three descriptors that come with one byte; None at the end. 3.8 has no recv_fds."""
    descriptors = array.array("i")
    try:
        data, ancillary, _, _ = engine.recvmsg(1, socket.CMSG_SPACE(3 * descriptors.itemsize))
    except OSError:
        return None
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    if not data or len(descriptors) != 3:
        return None
    return descriptors[0], descriptors[1], descriptors[2]
