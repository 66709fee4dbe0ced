"""Forks engines on demand: real processes with a fault set into them, without the start-up's price.

Run as a program. Each line of standard input is a request, each line of output an answer: first
{"pid": ...}, and when the engine has ended {"status": ...}.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

# What the interpreter tells of every change to a file system before it is made.
EVENTS = {
    "open": 0,
    "os.rename": 1,
    "os.remove": 0,
    "os.rmdir": 0,
    "os.mkdir": 0,
    "os.link": 1,
    "os.symlink": 1,
    "os.truncate": 0,
    "os.chmod": 0,
    "os.utime": 0,
}
RELATIVE = {"os.remove", "os.rmdir", "os.mkdir"}  # these end with a folder's descriptor, or -1
TAKES_SPACE = {"open", "os.mkdir", "os.link", "os.symlink", "os.write"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def label_of(event: str, path: str) -> str:
    """A name for a point that is the same in every run."""
    import re

    path = re.sub(r"[0-9a-f]{8,}(\.dir)?", "#", path)
    path = re.sub(r"/#\[0:2\]|/[0-9a-f]{2}(?=/#)|(?<=md5/)[0-9a-f]{2}$", "/%", path)
    path = re.sub(r"(?<=runs/)[0-9a-f]{2}(?=/|$)", "%", path)
    path = re.sub(r"\.\d+\.tmp$", ".tmp", path)
    path = re.sub(r"\d{8}-\d{6}", "TIME", path)
    return f"{event} {re.sub(r'[.]mlbuild/[0-9]+-', '.mlbuild/PID-', path)}"


def below(pid: int) -> list[int]:
    """The processes that one started, those that these started, and so on."""
    found: list[int] = []
    for tasks in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [child, *below(child)]
    return found


class Faults:
    """The points of one engine, in the order in which it passes them."""

    def __init__(self, root: str, fault: dict[str, Any] | None, trace: str | None) -> None:
        self.root, self.fault, self.pid = root, fault, os.getpid()
        self.passed: Counter[str] = Counter()
        self.broken = False  # from now on, for faults that stay
        self.busy = False
        self.write = os.write
        self.trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if trace else None
        os.write = self.instead_of_write  # the one change that is not audited
        sys.addaudithook(self.hear)
        for name, module in list(sys.modules.items()):
            if name.startswith("mlbuild.") and hasattr(module, "checkpoint"):
                module.checkpoint = lambda name: self.point("checkpoint", name)  # type: ignore[attr-defined]

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in EVENTS or self.busy or os.getpid() != self.pid:
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & WRITES):
            return
        what = args[EVENTS[event]]
        if isinstance(what, int):
            self.point(event, "descriptor")
            return
        folder = args[-1] if event in RELATIVE and args[-1] >= 0 else None
        base = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
        path = os.path.normpath(os.path.join(base, os.fsdecode(what)))
        if path.startswith(self.root + "/"):
            self.point(event, path[len(self.root) + 1 :])

    def instead_of_write(self, descriptor: int, data: bytes) -> int:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.getpid() == self.pid and path.startswith(self.root + "/"):
            self.point("os.write", path[len(self.root) + 1 :], (descriptor, bytes(data)))
        return self.write(descriptor, data)

    def point(self, event: str, what: str, torn: tuple[int, bytes] | None = None) -> None:
        self.busy = True
        try:
            label = label_of(event, what)
            if self.trace is not None:
                self.write(self.trace, f"{label}\n".encode())
            fault = self.fault
            if fault is None:
                return
            nth = self.passed[label]
            self.passed[label] += 1
            hit = label == fault["label"] and nth == fault["nth"]
            if hit:
                Path(fault["mark"]).touch()
            self.strike(fault["how"], event, what, hit, torn)
        finally:
            self.busy = False

    def strike(
        self, how: str, event: str, what: str, hit: bool, torn: tuple[int, bytes] | None
    ) -> None:
        if hit and how == "torn" and torn is not None:
            self.write(torn[0], torn[1][: len(torn[1]) // 2])
        if hit and how in ("kill", "torn"):
            os.kill(os.getpid(), signal.SIGKILL)
        if hit and how == "kill all":
            for process in (*below(os.getpid()), os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        import errno

        number = getattr(errno, how, 0)
        stays = how == "EROFS" or (how == "ENOSPC" and event in TAKES_SPACE)
        if how == "ENOSPC" and event == "checkpoint":
            stays = what.startswith("write:")
        self.broken = self.broken or hit
        if number and (hit or (stays and self.broken)):
            raise OSError(number, os.strerror(number), os.path.join(self.root, what))


def become_engine(request: dict[str, Any]) -> int:
    """What a child does: stands where it was asked to, and runs the command line."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for target, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644), target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request.get("descriptors"):
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (request["descriptors"],) * 2)
    if request.get("clock"):
        real, real_ns, off = time.time, time.time_ns, request["clock"]
        time.time = lambda: real() + off
        time.time_ns = lambda: real_ns() + int(off * 1_000_000_000)
    sys.argv = ["mlbuild", *request["argv"]]
    if request.get("fault") or request.get("trace"):
        # With what lies beside the project: a remote, the user's own cache.
        Faults(os.path.dirname(request["cwd"]), request.get("fault"), request.get("trace"))
    from mlbuild.__main__ import main

    return main() or 0


def serve() -> None:
    import mlbuild.cli.main
    import mlbuild.cli.run  # noqa: F401 - what every engine needs is imported once, here

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            sys.exit(become_engine(request))
        print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve()
