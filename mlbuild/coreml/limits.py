"""How much memory one value of a model may take, and how often a loop may turn.

A model's file may name any size, and an honest mistake in one dimension is enough to ask for
hundreds of gigabytes. Linux grants such requests and kills the process when it touches them, so
sizes are checked here first. ``MLBUILD_COREML_MEMORY`` sets the limit in bytes; without it a
value may take half of what the machine, its cgroup or the process's own limit allows.
"""

from __future__ import annotations

import os
import resource
from functools import lru_cache
from pathlib import Path

from .errors import ExecutionError

_CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@lru_cache(maxsize=1)
def limit() -> int:
    """The most bytes that one value may take."""
    if (set_by_hand := _set("MLBUILD_COREML_MEMORY")) is not None:
        return set_by_hand
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        found.append(address_space)
    for name in _CGROUP_FILES:
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min(found) // 2


def demand(size: int, place: str | None = None) -> None:
    """Refuse a size in bytes before anything of it is allocated.

    Raises:
        ExecutionError: It is beyond the limit.
    """
    if size > limit():
        raise ExecutionError(
            "a value of a size that this machine cannot hold",
            place=place,
            got=f"{size} bytes",
            allowed=(f"at most {limit()} bytes",),
            hint="MLBUILD_COREML_MEMORY=BYTES sets another limit",
        )


def is_exhaustion(error: Exception) -> bool:
    """Whether an error is numpy's or torch's way to say that memory is at its end."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


@lru_cache(maxsize=1)
def most_turns() -> int:
    """How often one loop may turn."""
    set_by_hand = _set("MLBUILD_COREML_LOOPS")
    return 1_000_000 if set_by_hand is None else set_by_hand


def _set(name: str) -> int | None:
    """The number in a variable of the environment, if it is set."""
    text = os.environ.get(name, "")
    if text and not text.isdecimal():
        raise ExecutionError("not a number", place=f"environment variable {name}", got=text)
    return int(text) if text else None


def turn(number: int, place: str | None = None) -> None:
    """Refuse the next turn of a loop that has turned too often.

    Raises:
        ExecutionError: It is beyond the limit.
    """
    if number > most_turns():
        raise ExecutionError(
            "a loop does not end",
            place=place,
            got=f"more than {most_turns()} turns",
            hint="MLBUILD_COREML_LOOPS=NUMBER sets another limit",
        )
