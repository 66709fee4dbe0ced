"""Reading an estimator of scikit-learn: what scales its columns, and what learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tabular.stored import load_sklearn

_SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
_NEIGHBOURS = "KNeighborsClassifier"


@dataclass(frozen=True)
class Estimator:
    """An estimator behind scalers: columns become ``x * scale + shift``, then ``last`` decides.

    Attributes:
        whole: scalers and all, to be asked.
        last: what learns.
        labels: of a classifier, in its own order.
        description: what its training wrote beside it, or what it tells of itself.
    """

    whole: Any
    last: Any
    scale: Any
    shift: Any
    labels: tuple[Any, ...]
    description: Mapping[str, Any]

    @property
    def is_neighbours(self) -> bool:
        return type(self.last).__name__ == _NEIGHBOURS

    @property
    def width(self) -> int:
        return len(self.scale)

    @property
    def is_scaled(self) -> bool:
        return bool((self.scale != 1).any() or (self.shift != 0).any())


def read(job: Any) -> Estimator:
    """The job's model.

    Raises:
        Problem: it cannot be read, or a step of it cannot be built for training.
    """
    path = job.inputs["model"]
    whole, description = load_sklearn(path, job.trust("model"))
    texts = [c["name"] for c in description["columns"] if c["type"] == "category"]
    if texts:
        raise Problem(
            f"column '{texts[0]}' holds texts: an updatable model takes one array of numbers"
        )
    steps = [step for _, step in getattr(whole, "steps", [("estimator", whole)])]
    width = len(description["columns"])
    scale, shift = np.ones(width), np.zeros(width)
    for step in steps[:-1]:
        factor, offset = _affine(step)
        scale, shift = scale * factor, shift * factor + offset
    classes = getattr(whole, "classes_", None)
    labels = () if classes is None else tuple(np.asarray(classes).tolist())
    return Estimator(whole, steps[-1], scale, shift, labels, description)


def _affine(step: Any) -> tuple[Any, Any]:
    """A scaler as factor and offset of each column."""
    name = type(step).__name__
    if isinstance(step, str) and step == "passthrough":
        return 1.0, 0.0
    if name not in _SCALERS:
        raise Problem(
            f"step {name} cannot be built into an updatable model",
            hint=f"before the estimator may stand: {', '.join(_SCALERS)}",
        )
    if name == "MinMaxScaler":
        if step.clip:
            raise Problem("MinMaxScaler with clip cannot be built into an updatable model")
        return step.scale_, step.min_
    divisor = step.scale_ if step.scale_ is not None else 1.0
    centre = getattr(step, "mean_", None) if name == "StandardScaler" else None
    if name == "RobustScaler":
        centre = step.center_
    if name == "StandardScaler" and not step.with_mean:
        centre = None
    factor = 1.0 / np.asarray(divisor)
    return factor, 0.0 if centre is None else -centre * factor
