"""Turi Create, set up so that equal work gives equal results and leaves nothing behind."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np


def configure(job: Any, seed: int = 0, weights: Path | None = None) -> Any:
    """Import Turi Create for a job.

    Args:
        job: its scratch folder takes temporary files.
        seed: of every generator that Turi Create draws from.
        weights: a folder with what its ``model_cache`` would hold.

    Returns:
        The module ``turicreate``.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import turicreate  # heavy: the toolchain of this kind alone has it

    cache = job.scratch / "turi"
    cache.mkdir(parents=True, exist_ok=True)
    turicreate.config.set_runtime_config("TURI_CACHE_FILE_LOCATIONS", str(cache))
    turicreate.config.set_runtime_config("TURI_DEFAULT_NUM_PYLAMBDA_WORKERS", max(1, job.threads))
    turicreate.config.set_num_gpus(0)
    if weights is not None:
        _offer(weights, cache / "model_cache")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    return turicreate


def _offer(weights: Path, cache: Path) -> None:
    """Put files where Turi Create looks before it downloads."""
    cache.mkdir(parents=True, exist_ok=True)
    files = [weights] if weights.is_file() else sorted(weights.rglob("*"))
    for file in files:
        if file.is_file():
            (cache / file.name).symlink_to(file.resolve())
