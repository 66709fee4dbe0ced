"""Runs tasks on this machine: one thread, one selector, no waiting loops.

On Linux the end of a process makes its pidfd readable; where there are none (macOS, old kernels)
processes are looked at some fifty times a second while one runs.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mlbuild.attempts import Capabilities, ExecutionEvent, Finished, Started, Task
from mlbuild.execute import failures, logs
from mlbuild.execute.attempt import Attempt, Channel, group_lives
from mlbuild.execute.forkserver import WORKER, ForkServer, ServerKey, job_file
from mlbuild.execute.guardian import Guardian
from mlbuild.execute.machine import capabilities
from mlbuild.records import Failure

GRACE = 10.0  # seconds between TERM and KILL
_GLANCE = 0.02  # seconds between two looks at what the kernel does not tell of
_GIVE_UP = 5.0  # seconds after KILL: a process in a dead network mount never ends


class LocalExecutor:
    """Implements `attempts.Executor`.

    Args:
        jobs: how many tasks may run at once; it is told, not enforced.
        grace: seconds between TERM and KILL.
        fork: whether stages of kinds are forked from servers.
        pidfds: whether the kernel tells of a process's end.
        held: a descriptor of the pipeline's lock: kept until no stage runs, whoever dies first.
    """

    def __init__(
        self,
        jobs: int,
        *,
        grace: float = GRACE,
        fork: bool = sys.platform == "linux",
        pidfds: bool = hasattr(os, "pidfd_open"),
        held: int | None = None,
    ) -> None:
        self._jobs, self._grace, self._fork, self._pidfds = jobs, grace, fork, pidfds
        self._selector = selectors.DefaultSelector()
        self._attempts: dict[str, Attempt] = {}
        self._servers: dict[ServerKey, ForkServer] = {}
        self._events: list[ExecutionEvent] = []
        self._guardian = Guardian(held)
        self._nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        _keep_children()

    def capabilities(self) -> Capabilities:
        """What this machine has."""
        return capabilities(self._jobs)

    def submit(self, task: Task) -> None:
        """Starts the task at once; whatever goes wrong is told by `wait`."""
        if task.stage in self._attempts:
            raise ValueError(f"stage '{task.stage}' is running already")
        attempt = Attempt(task, logs.start(task), time.monotonic())
        self._attempts[task.stage] = attempt
        try:
            if task.argv is not None:
                self._spawn(attempt, list(task.argv))
            elif task.fresh or task.masked or task.under or not self._fork:
                self._spawn_worker(attempt)
            else:
                self._enqueue(attempt)
        except OSError as error:
            what = "the command" if task.argv is not None else f"{task.python}"
            self._finish(attempt, failures.not_started(error, what))

    def wait(self, timeout: float | None = None) -> list[ExecutionEvent]:
        """What happened; waits until something has, or the time is over, or nothing runs."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._attempts and not self._events:
            pause = self._pause(end)
            for key, _ in self._selector.select(pause):
                # An earlier callback of this round may have closed what this one is about.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._look_at_clock()
            if end is not None and time.monotonic() >= end:
                break
        events, self._events = self._events, []
        return events

    def cancel(self, stage: str) -> None:
        """Ends a task; `wait` tells when it has ended. One that does not run is no error."""
        attempt = self._attempts.get(stage)
        if attempt is not None:
            self._stop(attempt, failures.cancelled())

    def close(self) -> None:
        """Ends everything that runs. May be called twice; never hangs."""
        for stage in list(self._attempts):
            self.cancel(stage)
        end = time.monotonic() + self._grace + _GIVE_UP
        while self._attempts and time.monotonic() < end:
            self.wait(end - time.monotonic())
        for server in list(self._servers.values()):
            self._remove(server)
        self._guardian.close()
        self._selector.close()
        if self._nothing >= 0:
            os.close(self._nothing)
            self._nothing = -1

    # --- beginning ----------------------------------------------------------------------------

    def _spawn(self, attempt: Attempt, argv: list[str], passed: tuple[int, ...] = ()) -> None:
        task = attempt.task
        output = self._masked_output(attempt) if task.masked else attempt.log.descriptor
        try:
            process = subprocess.Popen(
                [*task.under, *argv],
                stdin=self._nothing,
                stdout=output,
                stderr=output,
                cwd=task.cwd,
                env=dict(task.env),
                pass_fds=passed,
                start_new_session=True,
            )
        finally:
            if task.masked:
                os.close(output)
        attempt.process, attempt.group = process, process.pid
        self._guardian.begins(process.pid)
        self._events.append(Started(task.stage, process.pid))
        if self._pidfds:
            with suppress(OSError):  # an old kernel, or a sandbox that forbids it
                attempt.exit_watch = os.pidfd_open(process.pid)
                self._watch(attempt.exit_watch, lambda: self._process_ended(attempt))

    def _spawn_worker(self, attempt: Attempt) -> None:
        events = self._open_channel(attempt)
        job = -1
        try:
            job = job_file({"job": attempt.task.job})
            argv = [str(attempt.task.python), str(WORKER)]
            argv += ["--job-fd", str(job), "--events-fd", str(events)]
            self._spawn(attempt, argv, (job, events))
        finally:
            os.close(events)
            if job >= 0:
                os.close(job)

    def _enqueue(self, attempt: Attempt) -> None:
        key = ServerKey.of(attempt.task)
        server = self._servers.get(key)
        if server is None:
            server = self._servers[key] = ForkServer(key, attempt)
            self._guardian.begins(server.process.pid)
            self._watch(server.channel.descriptor, lambda: self._server_spoke(server))
        server.waiting.append(attempt)
        self._send_waiting(server)

    def _send_waiting(self, server: ForkServer) -> None:
        while server.ready and server.waiting:
            attempt = server.waiting.pop(0)
            events = self._open_channel(attempt)
            try:
                server.send(attempt, events)
            except OSError:
                self._finish(attempt, failures.server_lost(None))
            finally:
                os.close(events)

    def _open_channel(self, attempt: Attempt) -> int:
        """Listens to a new pipe; its other end, for the worker."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        attempt.channel = Channel(ours)
        self._watch(ours, lambda: self._worker_spoke(attempt))
        return theirs

    def _masked_output(self, attempt: Attempt) -> int:
        """Reads what the process prints, so that no secret ever stands in a file."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        attempt.output = ours
        self._watch(ours, lambda: self._printed(attempt))
        return theirs

    # --- listening ----------------------------------------------------------------------------

    def _worker_spoke(self, attempt: Attempt) -> None:
        known = attempt.group is not None
        heard = attempt.events()
        if not known and attempt.group is not None:  # a forked child has its group now
            self._guardian.begins(attempt.group)
            self._events.append(Started(attempt.task.stage, attempt.group))
            if attempt.stopped is not None:
                attempt.signal(signal.SIGTERM)
        self._events += heard  # a quick stage says all in one breath; first of all it started
        if attempt.channel is not None and attempt.channel.ended:
            self._unwatch(attempt.channel.descriptor)
            attempt.channel = None

    def _printed(self, attempt: Attempt) -> None:
        if not attempt.copy_output() and attempt.output is not None:
            self._unwatch(attempt.output)
            attempt.output = None

    def _server_spoke(self, server: ForkServer) -> None:
        for message in server.channel.read():
            if message["event"] == "ready":
                server.ready = True
            elif message["event"] == "broken":
                server.broken = message
            elif message["event"] == "ended" and message["job"] in server.running:
                self._judge(server.running.pop(message["job"]), int(message["code"]))
        if server.channel.ended:
            self._server_ended(server)
        else:
            self._send_waiting(server)

    def _server_ended(self, server: ForkServer) -> None:
        code = self._remove(server)
        for attempt in [*server.running.values(), *server.waiting]:
            self._drain(attempt)
            attempt.signal(signal.SIGKILL)
            if attempt.told is not None:
                self._judge(attempt, 0)
            else:
                failure = attempt.stopped or _loss(server, code)
                if server.broken and attempt is not server.first:
                    attempt.log.write(f"{failure.traceback}\n")  # the first log has it
                self._finish(attempt, attempt.described(failure))

    # --- ending -------------------------------------------------------------------------------

    def _stop(self, attempt: Attempt, why: Failure) -> None:
        if attempt.stopped is not None:
            return
        attempt.stopped = why
        attempt.kill_at = time.monotonic() + self._grace
        for server in self._servers.values():
            if attempt in server.waiting:  # nothing runs for it yet
                server.waiting.remove(attempt)
                self._finish(attempt, attempt.described(why))
                return
        attempt.signal(signal.SIGTERM)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        for attempt in list(self._attempts.values()):
            if attempt.deadline is not None and now >= attempt.deadline:
                self._stop(attempt, failures.timed_out(attempt.task.timeout_seconds or 0))
            if attempt.kill_at is not None and now >= attempt.kill_at:
                attempt.signal(signal.SIGKILL)
                attempt.kill_at, attempt.killed = now + _GIVE_UP, True
            if attempt.code is not None:
                self._judge_when_alone(attempt)
            elif attempt.process and attempt.exit_watch is None and _has_ended(attempt.process):
                self._process_ended(attempt)

    def _process_ended(self, attempt: Attempt) -> None:
        """Its first process ended. What it left behind goes, with the usual grace if stopped."""
        process = attempt.process
        assert process is not None
        if attempt.stopped is None:
            # Before it is reaped: its number cannot yet be a stranger's.
            attempt.signal(signal.SIGKILL)
        attempt.code = process.wait()
        if attempt.exit_watch is not None:
            self._unwatch(attempt.exit_watch)
            attempt.exit_watch = None
        self._judge_when_alone(attempt)

    def _judge_when_alone(self, attempt: Attempt) -> None:
        if attempt.code is None:
            return
        waits = attempt.stopped is not None and not attempt.killed
        if not (waits and attempt.group is not None and group_lives(attempt.group)):
            self._judge(attempt, attempt.code)

    def _judge(self, attempt: Attempt, code: int) -> None:
        self._drain(attempt)
        self._finish(attempt, attempt.verdict(code))

    def _drain(self, attempt: Attempt) -> None:
        self._worker_spoke(attempt)
        self._printed(attempt)

    def _finish(self, attempt: Attempt, failure: Failure | None) -> None:
        del self._attempts[attempt.task.stage]
        channel = None if attempt.channel is None else attempt.channel.descriptor
        for descriptor in (attempt.output, channel):
            if descriptor is not None:
                self._unwatch(descriptor)
        attempt.log.finish()
        if attempt.group is not None:
            self._guardian.ends(attempt.group)
        seconds = time.monotonic() - attempt.began
        self._events.append(Finished(attempt.task.stage, failure, seconds))

    def _remove(self, server: ForkServer) -> int:
        del self._servers[server.key]
        self._selector.unregister(server.channel.descriptor)
        code = server.close()
        self._guardian.ends(server.process.pid)
        return code

    # --- waiting ------------------------------------------------------------------------------

    def _pause(self, end: float | None) -> float | None:
        """How long nothing needs to be done unless the kernel tells of something."""
        now = time.monotonic()
        moments = [end] if end is not None else []
        for attempt in self._attempts.values():
            moment = attempt.kill_at if attempt.stopped is not None else attempt.deadline
            if moment is not None:
                moments.append(moment)
            if attempt.process is not None and attempt.exit_watch is None:  # or it lingers
                moments.append(now + _GLANCE)
        return max(0.0, min(moments) - now) if moments else None

    def _watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def _unwatch(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)


def _loss(server: ForkServer, code: int) -> Failure:
    if server.broken is not None:
        return failures.import_failed(
            str(server.broken.get("message")), str(server.broken.get("traceback"))
        )
    if not server.ready:
        return failures.import_died(server.key.preload, code)
    return failures.server_lost(code)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):  # macOS
        return process.poll() is not None
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT  # it stays a zombie, its number stays its own
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _keep_children() -> None:
    """Whoever started us may ignore SIGCHLD; then the kernel would throw exit codes away."""
    ignored = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
