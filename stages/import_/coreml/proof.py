"""That a model computes what it did, under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlbuild.coreml import CoreMLError

from ..._shared.problem.problem import Problem


def prove(original: Any, changed: Any, rename: Mapping[str, str]) -> str:
    """Run both on the same inputs.

    Returns:
        A line on what was found.

    Raises:
        Problem: they differ.
    """
    try:
        given = _inputs(original)
        ours = original.predict(given)
    except CoreMLError as error:
        return f"not run beside the original: {error}"
    theirs = changed.predict({rename.get(name, name): value for name, value in given.items()})
    for name, value in ours.items():
        if not _same(value, theirs[rename.get(name, name)]):
            raise Problem(f"output '{name}' is another one after the changes; this is a defect")
    return f"equal to the original, bit for bit, in {len(ours)} outputs"


def _inputs(model: Any) -> dict[str, Any]:
    """Values that a model's description allows, the same ones each time."""
    random = np.random.default_rng(0)
    features = [f for f in model.description.inputs if not f.optional]
    return {feature.name: _value(feature, random) for feature in features}


def _value(feature: Any, random: np.random.Generator) -> Any:
    if feature.image is not None:
        size = (feature.image.height, feature.image.width, feature.image.channels)
        return random.integers(0, 256, size, np.uint8)
    if feature.array is not None:
        values = random.standard_normal(feature.array.shape)
        return values.astype(feature.array.dtype)
    if feature.kind == "dictionary":
        return {"a": 1.0} if feature.key_type == "string" else {0: 1.0}
    if feature.kind == "sequence":
        return ["a"] if feature.item_type == "string" else [0]
    return {"string": "a", "int64": 1}.get(feature.kind, 0.5)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return list(one.values()) == list(other.values())
    if isinstance(one, str):
        return True  # labels may have new names; their scores are compared
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
