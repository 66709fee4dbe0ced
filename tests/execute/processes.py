"""Looking at processes from outside."""

import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    """Whether all of them end; waits for signals that are on their way."""
    return until(lambda: not any(alive(pid) for pid in pids))


def noted(path: Path, count: int) -> list[int]:
    """Process numbers that a stage writes, once all are there."""
    assert until(lambda: path.exists() and len(path.read_text().split()) == count), path
    return [int(word) for word in path.read_text().split()]


def until(true: Callable[[], bool]) -> bool:
    """Whether it comes true."""
    for _ in range(2000):
        if true():
            return True
        time.sleep(0.01)
    return False
