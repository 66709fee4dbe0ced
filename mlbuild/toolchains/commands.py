"""Running installers: their output as progress, their whole process group ended on the way out."""

from __future__ import annotations

import importlib
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TAIL = 25  # lines kept for an error
_HEARTBEAT_SECONDS = 5.0
# These point an interpreter or uv at somebody else's environment or project.
_FOREIGN = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_WORKING_DIR",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
)


def uv_binary() -> Path | None:
    """The uv program: the one of the ``uv`` package, else the one on PATH."""
    try:
        return Path(importlib.import_module("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        return Path(found) if found else None


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without what would lead an installer astray."""
    kept = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    return kept | {"NO_COLOR": "1", "PYTHONNOUSERSITE": "1"} | dict(extra or {})


def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    say: Callable[[str], None],
    cwd: Path | None = None,
) -> tuple[int, list[str]]:
    """Runs a program to its end.

    Args:
        argv: the program and its arguments.
        environ: its whole environment.
        say: called with each line that it writes, and with "" now and then while it is silent.
        cwd: where it runs.

    Returns:
        Its exit status and the last lines that it wrote.
    """
    process = subprocess.Popen(
        list(argv),
        env=dict(environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that it and its children can be ended together
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=_TAIL)
    try:
        _follow(lines, tail, say)
        return process.wait(), list(tail)
    finally:
        _end(process)
        reader.join(timeout=5)


def _follow(
    lines: queue.SimpleQueue[str | None], tail: deque[str], say: Callable[[str], None]
) -> None:
    while True:
        try:
            line = lines.get(timeout=_HEARTBEAT_SECONDS)
        except queue.Empty:
            say("")
            continue
        if line is None:
            return
        if line:
            tail.append(line)
            say(line)


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    if process.stdout is not None:
        with process.stdout:
            for line in process.stdout:
                lines.put(line.rstrip())
    lines.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
