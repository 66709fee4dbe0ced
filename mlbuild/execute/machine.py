"""What this machine has to give to stages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlbuild.attempts import Capabilities

_CGROUP = Path("/sys/fs/cgroup/memory.max")


def capabilities(slots: int) -> Capabilities:
    """Processors, GPUs and memory that this process may use."""
    return Capabilities(
        slots=slots,
        cpu=_cpus(),
        gpu=_gpus(),
        memory_gb=round(_memory_bytes() / 1e9, 1),
        macos=1 if sys.platform == "darwin" else 0,
    )


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> int:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    names = [name.strip() for name in visible.split(",")]
    count = 0
    for name in names:
        if name in ("", "-1", "NoDevFiles"):  # CUDA stops at the first that is not valid
            break
        count += 1
    return count


def _memory_bytes() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(_CGROUP.read_text())
    except (OSError, ValueError):  # no such limit ("max"), or no such file
        return memory
    return min(memory, limit)
