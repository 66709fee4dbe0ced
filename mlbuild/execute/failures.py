"""Words for how a process ended."""

from __future__ import annotations

import signal

from mlbuild.records import Failure

_HINTS = {
    signal.SIGKILL: "perhaps it ran out of memory: the kernel ends processes so. "
    "Give it less to do at once, declare resources: {memory_gb: ...}, or use a smaller -j",
    signal.SIGSEGV: "a native library crashed; run it alone with `mlbuild shell`",
    signal.SIGABRT: "a native library gave up; the last lines of the log may say why",
    signal.SIGBUS: "the disk is full, or a file shrank while it was read",
    signal.SIGILL: "a library needs instructions that this processor lacks",
    signal.SIGXFSZ: "a file grew beyond the limit of `ulimit -f`",
}
_SHELL_HINTS = {
    126: "the file was found but cannot be executed: is its executable bit set?",
    127: "a program was not found: is it on PATH, or does the stage need a toolchain?",
}
_VERIFY = "the toolchain may be damaged: `mlbuild toolchains verify` tells"
_SIGNALLED = 128  # a shell says 128 + N of a command that signal N ended


def timed_out(seconds: float) -> Failure:
    """The stage took longer than it may."""
    return Failure(
        f"ran longer than {_span(seconds)} and was stopped",
        hint="raise timeout_minutes of the stage if it needs longer",
        timed_out=True,
    )


def cancelled() -> Failure:
    """The stage was stopped before its end."""
    return Failure("was cancelled", cancelled=True)


def command_ended(code: int) -> Failure | None:
    """A `run:` command ended with this code; negative for a signal."""
    if code == 0:
        return None
    if code < 0:
        return _signalled(-code, "the command")
    name = _signal_name(code - _SIGNALLED) if code > _SIGNALLED else None
    hint = _SHELL_HINTS.get(code)
    if name is None:
        return Failure(f"the command ended with exit code {code}", hint)
    hint = _HINTS.get(signal.Signals(code - _SIGNALLED))
    return Failure(f"the command ended with exit code {code} ({name})", hint)


def worker_ended(code: int, began: bool) -> Failure:
    """A worker ended without having told how its job went, or before it had begun."""
    if code < 0:
        return _signalled(-code, "the stage's process")
    if not began:
        return Failure(f"the stage's Python did not start (exit code {code})", _VERIFY)
    return Failure(
        f"the stage's process ended with exit code {code} before run(job) returned",
        hint="does it, or a library, call os._exit?",
    )


def server_lost(code: int | None) -> Failure:
    """The process that a stage was forked from is gone, and the stage with it."""
    how = "" if code is None else f" ({_how(code)})"
    return Failure(
        f"the fork server of its toolchain was lost{how}", hint="run it again", retryable=True
    )


def import_failed(message: str, traceback: str) -> Failure:
    """A module that the stages of a toolchain need raised when it was imported."""
    return Failure(message, _VERIFY, traceback)


def import_died(modules: tuple[str, ...], code: int) -> Failure:
    """The process ended while the modules of its toolchain were imported."""
    if not modules:
        return Failure(f"the stage's Python did not start ({_how(code)})", _VERIFY)
    what = ", ".join(modules)
    return Failure(f"importing {what} ended the process ({_how(code)})", _VERIFY)


def not_started(error: OSError, what: str) -> Failure:
    """A process could not be started at all."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        return Failure(f"{what} cannot be started: {error.strerror}: {error.filename}")
    return Failure(f"{what} cannot be started: {error.strerror or error}")


def _signalled(number: int, what: str) -> Failure:
    name = _signal_name(number) or f"signal {number}"
    known = name.startswith("SIG")
    return Failure(
        f"{what} was ended by {name}", _HINTS.get(signal.Signals(number)) if known else None
    )


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return None


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else _signal_name(-code) or f"signal {-code}"


def _span(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:g} s"
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"
