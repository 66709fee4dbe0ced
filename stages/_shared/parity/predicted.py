"""The side of a comparison that was asked before, in its own framework: answers from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..predictions.form import Predictions, read
from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing, from_json

_SMALLEST = np.finfo(np.float32).tiny  # a probability of 0 has no logarithm
_SUM_OFF = 1e-2  # float16 probabilities of a thousand classes sum to 1 within this


class PredictedSide:
    """Answers of a model of any framework, by sample."""

    def __init__(self, folder: Path) -> None:
        self.found: Predictions = read(folder)
        self.about = self.found.about
        self.scores = _scores(self.found)
        self.labels = tuple(self.about.labels) if self.scores else ()
        stated = self.about.preprocessing
        self.preprocessing: Preprocessing | None = from_json(stated) if stated else None
        self._places = {name: place for place, name in enumerate(self.found.samples)}

    def adopt_labels(self, labels: tuple[str, ...]) -> None:
        """Take another model's labels, where this one has one score for each and no names."""
        if self.labels or not labels or self.scores is None:
            return
        if all(a.size == len(labels) for a in self.found.outputs[self.scores]):
            self.labels = labels

    def at(self, sample: str, classes: bool) -> dict[str, np.ndarray]:
        """The outputs for a sample; of a classifier the scores as ``logits``.

        Raises:
            Problem: the model was not asked about it.
        """
        if sample not in self._places:
            raise Problem(f"{self.about.model} was not asked about it")
        place = self._places[sample]
        answers = {name: arrays[place] for name, arrays in self.found.outputs.items()}
        if not classes or self.scores is None:
            return answers
        scores = answers[self.scores].astype(np.float64).reshape(-1)
        if self._gives() == "probabilities":
            scores = np.log(np.maximum(scores, _SMALLEST))
        return {"logits": scores}

    def _gives(self) -> str:
        """What the scores are: said by the model, or seen in all of them."""
        assert self.scores is not None
        stated = self.about.gives.get(self.scores)
        if stated in ("logits", "probabilities"):
            return stated
        return "probabilities" if _sum_to_one(self.found.outputs[self.scores]) else "logits"


def is_predictions(path: Path) -> bool:
    """Whether a path looks like a folder of predictions."""
    return (path / "predictions.json").is_file()


def _scores(found: Predictions) -> str | None:
    """The output that holds a classifier's scores."""
    stated = [n for n, g in found.about.gives.items() if g in ("logits", "probabilities")]
    for name in stated:
        if name in found.outputs:
            return name
    numbers = [n for n, arrays in found.outputs.items() if arrays and arrays[0].dtype.kind == "f"]
    if len(numbers) != 1 or found.about.gives.get(numbers[0]):
        return None
    (only,) = numbers
    sizes = {a.size for a in found.outputs[only]}
    wanted = len(found.about.labels)
    return (
        only if len(sizes) == 1 and (not wanted or sizes == {wanted}) and min(sizes) > 1 else None
    )


def _sum_to_one(arrays: Any) -> bool:
    values = np.stack([a.astype(np.float64).reshape(-1) for a in arrays])
    inside = values.min() >= 0 and values.max() <= 1 + _SUM_OFF
    return bool(inside and np.abs(values.sum(axis=1) - 1).max() < _SUM_OFF)
