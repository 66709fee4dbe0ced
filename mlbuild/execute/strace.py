"""Stages under `strace`: what every process of theirs reads, whatever it is written in.

The tracer stands beside the command and not above it (`-D`): the engine's child is the command
itself, with its own exit code and signals, and both are in the group that the engine ends.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mlbuild.errors import UsageError
from mlbuild.execute.inside.startup.mlbuild_reads import source
from mlbuild.execute.reads import Access

_CALLS = "open,openat,openat2,creat,execve,getdents,getdents64,rename,renameat,renameat2"
# Seen and not looked at, so that programs run nearly as fast as alone; where the kernel cannot,
# strace says so and does without.
_OPTIONS = ("-D", "-f", "--seccomp-bpf", "-qqq", "-y", "-z", "-e", "signal=none", "-e")
_INSTALL = "install it (apt-get install strace, dnf install strace), or leave --strace out"

_ROW = re.compile(r"(\d+) +(\w+)\((.*)\) += (\d+)(?:<(.*)>)?$", re.DOTALL)
# A path in the arguments, and the folder that it is relative to where strace knows it.
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_FOLDER = re.compile(r"(?:AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}


def trace_file(work: Path) -> Path:
    """Where strace writes of a stage."""
    return work / ".strace"


def prefix(work: Path) -> tuple[str, ...]:
    """What stands before a command that is traced."""
    return (program(), *_OPTIONS, f"trace={_CALLS}", "-o", os.fspath(trace_file(work)), "--")


@cache
def program() -> str:
    """The `strace` of this machine.

    Raises:
        UsageError: there is none, or it may not trace here.
    """
    if sys.platform != "linux":
        name = "macOS" if sys.platform == "darwin" else sys.platform
        raise UsageError(
            f"--strace needs Linux, this is {name}",
            hint="what stages in Python read is noted without it",
        )
    found = shutil.which("strace")
    if found is None:
        raise UsageError("--strace: strace is not installed", hint=_INSTALL)
    _try(found)
    return found


def _try(found: str) -> None:
    """Traces one process: containers often forbid it, old ones lack options."""
    argv = [found, *_OPTIONS, f"trace={_CALLS}", "-o", os.devnull, "--", "/bin/sh", "-c", "exit 7"]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode == 7:
        return
    said = done.stderr.strip().splitlines()
    what = said[-1] if said else f"it ended with exit code {done.returncode}"
    raise UsageError(
        f"--strace: strace does not work here: {what}",
        hint="it needs strace 5.3 or newer and the right to trace: start a container with "
        "--cap-add=SYS_PTRACE, or leave --strace out",
    )


def accesses(trace: Path, root: str) -> Iterator[Access]:
    """What the processes read below a folder, in order; not what they had written themselves.

    Args:
        trace: strace's output.
        root: the folder, in which the first of them ran.
    """
    seen = _Trace(root)
    try:
        with trace.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            for line in lines:
                match = _ROW.match(line.rstrip("\n"))
                if match is not None:
                    seen.call(int(match[1]), match[2], match[3], _text(match[5] or ""))
    except FileNotFoundError:
        pass
    seen.end()
    yield from seen.found


@dataclass
class _Trace:
    """What must be remembered from call to call."""

    root: str
    found: dict[Access, None] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    started: dict[int, str] = field(default_factory=dict)  # process -> program, folder not known
    programs: set[int] = field(default_factory=set)  # processes that are not Python, nor forked

    def __post_init__(self) -> None:
        self.below = tuple(r.rstrip("/") + "/" for r in (self.root, os.path.realpath(self.root)))

    def call(self, pid: int, name: str, arguments: str, real: str) -> None:
        """One call that succeeded; `real` is what it opened, links followed."""
        if name == "execve":
            self.programs.add(pid)
            self.started[pid] = _paths(arguments, "")[0]
        elif name.startswith("rename"):
            self._renamed(*_paths(arguments, self.root)[:2])
        elif name.startswith("getdents"):
            folder = _FOLDER.match(arguments)
            if folder is not None and pid in self.programs:
                self._add(_text(folder[1]), listed=True)
        else:
            folder = _FOLDER.match(arguments)
            if folder is not None and arguments.startswith("AT_FDCWD") and pid in self.started:
                self._add(os.path.join(_text(folder[1]), self.started.pop(pid)))
            self._opened(pid, name, arguments, real)

    def end(self) -> None:
        """Programs that opened nothing, so that nothing told in which folder they were started."""
        for name in self.started.values():
            self._add(os.path.join(self.root, name))

    def _opened(self, pid: int, name: str, arguments: str, real: str) -> None:
        if "/encodings/" in real:
            self.programs.discard(pid)  # Python: it notes by itself which folders it lists
        # Old calls do not tell what their path is relative to.
        named = (
            real if name in ("open", "creat") else next(iter(_paths(arguments, self.root)), real)
        )
        if not named.startswith(self.below):
            named = real
        if not named.startswith(self.below):
            return
        flags = arguments.rpartition('"')[2]
        if name == "creat" or re.search("O_TRUNC|O_EXCL|O_WRONLY", flags):
            self.written |= {real, named}
        elif real not in self.written and not re.search("O_DIRECTORY|O_PATH", flags):
            # Whether it was there before, only its time can tell.
            self._add(named, changed=_changed(real) if "O_CREAT" in flags else 0)

    def _renamed(self, old: str, new: str) -> None:
        moved = [path for path in self.written if path == old or path.startswith(old + "/")]
        self.written.update(new + path[len(old) :] for path in moved)

    def _add(self, path: str, *, listed: bool = False, changed: int = 0) -> None:
        path = source(os.path.normpath(path))
        if path.startswith(self.below) and os.path.isdir(path) == listed:
            self.found[Access(path, listed, changed)] = None


def _paths(arguments: str, folder: str) -> list[str]:
    """The paths in a call's arguments, each in the folder that it is relative to."""
    return [
        os.path.normpath(os.path.join(_text(base) if base else folder, _text(path)))
        for base, path in _PATH.findall(arguments)
    ]


def _text(quoted: str) -> str:
    """What strace escaped; its numbers are bytes."""
    if "\\" not in quoted:
        return quoted
    raw = _ESCAPE.sub(_character, quoted).encode("latin-1", "surrogateescape")
    return os.fsdecode(raw)


def _character(match: re.Match[str]) -> str:
    octal, hexadecimal, letter = match.groups()
    if letter is not None:
        return _LETTERS.get(letter, letter)
    return chr(int(octal, 8) if octal else int(hexadecimal, 16))


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return 0
