"""One way to set torch up, so that equal inputs give equal bytes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def configure(job: Any, seed: int = 0) -> torch.Generator:
    """Set threads, seeds and deterministic algorithms.

    Args:
        job: the stage's job; its thread count is part of the stage key, since sums depend on it.
        seed: of every random generator.

    Returns:
        A generator of the same seed, for code that should not touch the global one.
    """
    torch.set_num_threads(job.threads)
    seed_everything(seed)
    # The public function imports torch._inductor for a setting of its own: 2 CPU s in every stage.
    torch._C._set_deterministic_algorithms(True)
    # It would fill every fresh tensor, for code that reads what it did not write: a fifth slower.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return torch.Generator().manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
