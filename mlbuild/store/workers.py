"""Processes for many small files: as many as there are cores, for as long as the work lasts."""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from mlbuild.lazily import lazily
from mlbuild.store import small

if TYPE_CHECKING:
    from concurrent import futures
else:
    futures = lazily("concurrent.futures")  # with logging: 7 ms

MANY = 1000  # files; fewer are done before the processes have started
_CHUNK = 256  # files a request: a few ms of work against 0.1 ms of talk


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def spread(
    task: str, jobs: Sequence[Any], common: Callable[[int], tuple[str, ...]] = lambda part: ()
) -> Generator[list[Any], None, None]:
    """Does a task of ``small.py`` on many files, and yields the answers in order, part by part.

    Close it: an exception would keep it, and with it the processes, for as long as it is kept.

    Args:
        task: the function's name.
        jobs: one entry a file.
        common: the part's number -> the function's first arguments.
    """
    parts = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    count = min(cores(), len(parts))
    if len(jobs) < MANY or count < 2 or not sys.executable:
        for number, part in enumerate(parts):
            yield getattr(small, task)(*common(number), part)
        return
    import subprocess  # lazy: most runs have no such folder

    command = [sys.executable, "-I", "-S", str(Path(small.__file__))]
    idle: SimpleQueue[Any] = SimpleQueue()
    processes: list[Any] = []
    pool = futures.ThreadPoolExecutor(count)
    try:
        for _ in range(count):
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            processes.append(process)
            idle.put(process)

        def ask(number: int) -> list[Any]:
            process = idle.get()
            try:
                return _ask(process, (task, (*common(number), parts[number])))
            finally:
                idle.put(process)

        yield from pool.map(ask, range(len(parts)))
    except BaseException:
        for process in processes:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for process in processes:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the sign to end
            process.stdout.close()
            process.wait()


def _ask(process: Any, request: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """One request, one answer: a process that died answers nothing for each file."""
    nothing = [None] * len(request[1][-1])
    raw = marshal.dumps(request)
    try:
        process.stdin.write(len(raw).to_bytes(8, "big") + raw)
        process.stdin.flush()
        length = process.stdout.read(8)
        answer = process.stdout.read(int.from_bytes(length, "big")) if len(length) == 8 else b""
        return list(marshal.loads(answer)) if answer else nothing
    except (OSError, ValueError, EOFError, TypeError):
        return nothing
