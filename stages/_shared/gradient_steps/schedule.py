"""How the learning rate rises and falls, in whatever framework."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def factor(params: Any, steps: int, epochs: int) -> Callable[[int], float]:
    """By what the learning rate is multiplied at each step.

    Args:
        params: with ``schedule`` (cosine, step, constant) and ``warmup_epochs``, in which it rises
            linearly; of half of all epochs at most.
        steps: of an epoch.
        epochs: of the training.

    Returns:
        From the number of a step, which begins at 0, to a factor above 0 and up to 1.
    """
    total, warm = steps * epochs, min(params.warmup_epochs, epochs / 2) * steps

    def at(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        done = (step - warm) / max(1.0, total - warm)
        if params.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        if params.schedule == "step":
            return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01
        return 1.0

    return at
