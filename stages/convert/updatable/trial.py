"""The result is asked, trained and asked again, all by the reference runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlbuild.coreml import CoreMLError, load

from ..._shared.problem.problem import Problem
from .made import Cases, Made

_SAME = 1e-4  # float32 sums in another order
_NOTHING = 1e-6  # a loss that cannot fall


@dataclass(frozen=True)
class Figures:
    """What came out."""

    difference: float
    before: float  # mean loss
    after: float
    right_before: int
    right_after: int
    count: int


@dataclass(frozen=True)
class Trial:
    """A model, samples and how it is to learn."""

    made: Made
    cases: Cases
    params: Any

    def run(self, package: Path, work: Path) -> Figures:
        """Ask, train, ask.

        Raises:
            Problem: it differs from its source, Core ML would not train it, or it does not learn.
        """
        try:
            return self._run(package, work)
        except CoreMLError as error:
            raise Problem(f"the updatable model cannot be trained: {error}") from error

    def _run(self, package: Path, work: Path) -> Figures:
        model = load(package)
        first = self._answers(model)
        compared = ~np.isnan(self.cases.expected).any(axis=1)
        if not compared.any():
            raise Problem("no sample can be compared: the source is undecided on each of them")
        difference = float(np.abs(first - self.cases.expected)[compared].max())
        if not difference <= _SAME:
            raise Problem(
                f"the updatable model answers otherwise than its source: {difference:.2g} apart, "
                f"allowed is {_SAME:g}"
            )
        samples = [
            {**row, self.made.truth: truth}
            for row, truth in zip(self.cases.inputs, self._truths(), strict=True)
        ]
        learned = model.update(samples)
        learned.save(work / "learned.mlmodel")
        again = load(work / "learned.mlmodel")
        second = self._answers(again)
        if self.made.learns == "layers":
            self._others_stayed(learned._spec)
        right = self._right(first), self._right(second)
        before, after = self._loss(first), self._loss(second)
        self._must_fall(before, after)
        return Figures(difference, before, after, *right, len(samples))

    def _truths(self) -> list[Any]:
        if self.made.labels:
            return list(self.cases.truths)
        return [np.asarray(t, dtype=np.float32) for t in self.cases.truths]

    def _answers(self, model: Any) -> Any:
        rows = []
        for values in self.cases.inputs:
            answer = model.predict(values)[self.made.output]
            if self.made.labels:
                rows.append([float(answer.get(label, 0.0)) for label in self.made.labels])
            else:
                rows.append(np.asarray(answer, dtype=np.float64).reshape(-1))
        return np.array(rows)

    def _loss(self, answers: Any) -> float:
        if self.made.loss == "mean_squared_error":
            return float(((answers - np.array(self.cases.truths)) ** 2).mean())
        places = [self.made.labels.index(t) for t in self.cases.truths]
        chosen = answers[np.arange(len(places)), places]
        if self.made.loss == "votes":
            return float(1 - chosen.mean())
        return float(-np.log(np.maximum(chosen, 1e-30)).mean())

    def _right(self, answers: Any) -> int:
        if not self.made.labels:
            return 0
        said = [self.made.labels[place] for place in answers.argmax(axis=1)]
        return sum(a == b for a, b in zip(said, self.cases.truths, strict=True))

    def _others_stayed(self, spec: Any) -> None:
        """Only the chosen layers changed, and they did."""
        kind = spec.WhichOneof("Type")
        old, new = (getattr(s, kind).layers for s in (self.made.spec, spec))
        for before, after in zip(old, new, strict=True):
            changed = before.SerializeToString() != after.SerializeToString()
            if changed and before.name not in self.made.layers:
                raise Problem(f"training changed layer '{before.name}', which was not to learn")
            if not changed and before.name in self.made.layers:
                raise Problem(f"training did not change layer '{before.name}'")

    def _must_fall(self, before: float, after: float) -> None:
        if after < before or before < _NOTHING:
            return
        hint = "other samples may tell more"
        if self.made.learns == "layers":
            rate = self.params.learning_rate
            rate = rate["default"] if isinstance(rate, dict) else rate
            hint = f"try a smaller learning_rate than {rate:g}, or other samples"
        raise Problem(
            f"training does not help: the loss was {before:.4g} and is {after:.4g}", hint=hint
        )
