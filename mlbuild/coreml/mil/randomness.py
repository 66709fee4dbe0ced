"""Where random operators draw from, for one run of a program.

Source: coremltools MIL op docs, iOS15 random (seed).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

Generators = Callable[[int], torch.Generator]


class Randomness:
    """Generators of one run.

    An operator with a seed of its own (0 or more) has a generator of its own, which goes on when
    the operator is reached again in a loop. The others share one that begins at the seed that the
    model was loaded with, or anywhere. As every run begins anew, equal seeds and inputs give equal
    results, however often a model was run before.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._generators: dict[int | None, torch.Generator] = {}

    def at(self, place: int) -> Generators:
        """What gives the operator at a place its generator, once that tells its seed."""
        return partial(self._generator, place)

    def _generator(self, place: int, seed: int) -> torch.Generator:
        key = place if seed >= 0 else None
        if key not in self._generators:
            generator = torch.Generator()
            start = seed if seed >= 0 else self._seed
            if start is None:
                generator.seed()
            else:
                generator.manual_seed(start)
            self._generators[key] = generator
        return self._generators[key]
