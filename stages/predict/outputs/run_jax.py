"""Asks what jax.export serialized, through JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ..._shared.jax_model.program import flat, read
from ..._shared.predictions.asking import ask_all, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.problem.problem import Problem, told


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    found = read(job.inputs["model"])
    known = layouts(found.description)
    inputs = [Wanted(name, shape, dtype, known.get(name)) for name, shape, dtype in found.inputs]
    call = jax.jit(flat(found.exported))

    def ask(feeds: Any) -> dict[str, np.ndarray]:
        try:
            answers = call(*(feeds[wanted.name] for wanted in inputs))
        except Exception as error:  # XLA raises errors of its own
            first = str(error).strip().splitlines()[0]
            raise Problem(f"the JAX model does not run: {first}") from error
        return {n: np.asarray(value) for n, value in zip(found.outputs, answers, strict=True)}

    ask_all(job, described(found.description, "JAX"), inputs, ask)
