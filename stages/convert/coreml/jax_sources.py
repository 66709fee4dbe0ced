"""What jax.export serialized: read, and brought to where the converter begins."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._shared.jax_model.program import again, flat
from ..._shared.jax_model.program import read as read_program
from .slots import Front, Slot, front_of, source_of
from .sources import Source

_CHANNELS_LAST = (0, 2, 3, 1)  # [N, C, H, W] -> [N, H, W, C]


def read(job: Any) -> tuple[Source, list[Slot]]:
    """The job's model; ``program`` is what jax.export gives back.

    Raises:
        Problem: it is no such file, or leaves open what must then be given.
    """
    found = read_program(job.inputs["model"])
    slots = [Slot(*given) for given in found.inputs]
    outputs: dict[str, str | None] = dict.fromkeys(found.outputs)
    source = source_of(found.exported, "a JAX model", slots, outputs, found.description, job.params)
    return source, slots


def dressed(source: Source, slots: list[Slot], softmax: bool) -> Any:
    """The function once more, with what is put before and behind it, under the features' names."""
    inner = flat(source.program)
    fronts = [front_of(slot, f) for slot, f in zip(slots, source.features, strict=True)]

    def outer(*arrays: Any) -> Any:
        given = (_fronted(a, front) for a, front in zip(arrays, fronts, strict=True))
        typed = (jnp.asarray(a, slot.dtype) for a, slot in zip(given, slots, strict=True))
        found = inner(*typed)
        return [jax.nn.softmax(found[0], axis=-1)] if softmax else found

    structs = [jax.ShapeDtypeStruct(tuple(f.shape or ()), f.dtype) for f in source.features]
    return again(outer, list(zip((f.name for f in source.features), structs, strict=True)))


def _fronted(array: Any, front: Front | None) -> Any:
    if front is None:
        return array
    if front.factors:
        array = array * np.float32(front.factors).reshape(1, -1, 1, 1)
    return array.transpose(_CHANNELS_LAST) if front.last else array
