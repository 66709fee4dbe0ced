"""Both models' answers held against each other, and against what is right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..._shared.parity.comparing import Classes, Outputs, Row
from ..._shared.parity.figures import centred
from ..._shared.problem.problem import Problem
from .asking import Asked, Labels
from .truth import as_text


class Answered:
    """Both models' answers, sample by sample.

    Args:
        asked: all answers; of classifiers of pictures and arrays as ``logits``.
        labels: of classifiers, else None.
        answer: the output that holds a classifier's label or a regressor's number.
        truth: a label or a number for each sample, or None.
    """

    def __init__(
        self,
        asked: Sequence[Asked],
        labels: Labels | None,
        answer: str | None,
        truth: Sequence[Any] | None,
    ) -> None:
        self.asked, self.labels, self.answer, self.truth = asked, labels, answer, truth
        self.scored = labels is not None and "logits" in asked[0].released
        try:
            self.compared = self._compared()
        except Problem as problem:
            told = str(problem).replace("the reference", "the released model")
            told = told.replace("the candidate", "today's model")
            raise Problem(told, problem.hint) from problem

    def _compared(self) -> Classes | Outputs:
        """Today's outputs against the released model's."""
        if not self.scored or self.labels is None:
            return Outputs([Row(a.sample, a.released, a.today) for a in self.asked])
        shared = self.labels.shared
        ours, theirs = self.labels.places("released"), self.labels.places("today")
        rows = [
            Row(
                a.sample,
                {"logits": a.released["logits"][ours]},
                {"logits": a.today["logits"][theirs]},
            )
            for a in self.asked
        ]
        return Classes(rows, shared, np.arange(len(shared)), 1)

    @cached_property
    def told(self) -> list[tuple[str, str]] | None:
        """The released and today's answer to each sample, of classifiers."""
        if self.labels is None:
            return None
        if self.scored:
            known = self.labels
            return [
                (
                    known.released[int(np.argmax(a.released["logits"]))],
                    known.today[int(np.argmax(a.today["logits"]))],
                )
                for a in self.asked
            ]
        name = self.answer or next(n for n, a in self.asked[0].released.items() if a.ndim == 0)
        return [(as_text(a.released[name]), as_text(a.today[name])) for a in self.asked]

    @cached_property
    def judged(self) -> np.ndarray:
        """Which samples have a label that both models know, shape [N]."""
        if self.labels is None or self.truth is None:
            return np.zeros(len(self.asked), dtype=bool)
        shared = set(self.labels.shared)
        return np.array([label in shared for label in self.truth])

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the released and today's answer is right, shape [N, 2]."""
        assert self.told is not None and self.truth is not None
        pairs = zip(self.told, self.truth, strict=True)
        return np.array([(one == truth, other == truth) for (one, other), truth in pairs])

    @cached_property
    def errors(self) -> np.ndarray | None:
        """Mean absolute error of the released and of today's outputs, shape [N, 2].

        Against the number that is right, or else the reference's outputs; of classifiers their
        centred logits. None where neither is known, or where labels say what is right.
        """
        if self.truth is not None and self.labels is not None:
            return None
        if self.truth is None and self.asked[0].reference is None:
            return None
        errors = np.array([self._errors_of(place) for place in range(len(self.asked))])
        if not np.isfinite(errors).all():
            raise Problem("what is right, or an answer to it, is not finite")
        return errors

    def _errors_of(self, place: int) -> list[float]:
        asked, row = self.asked[place], self.compared.rows[place]
        if self.truth is not None:
            name = _number(asked, self.answer)
            return [float(np.abs(side[name] - self.truth[place]).mean()) for side in asked.both]
        assert asked.reference is not None
        if isinstance(self.compared, Classes) and self.labels is not None:
            right = centred(asked.reference["logits"][self.labels.places("reference")])
            sides = [centred(side["logits"]) for side in (row.reference, row.candidate)]
            return [float(np.abs(side - right).mean()) for side in sides]
        right, *sides = (
            np.concatenate([side[n].astype(np.float64).reshape(-1) for n in self.compared.names])
            for side in (asked.reference, *asked.both)
        )
        return [float(np.abs(side - right).mean()) for side in sides]


def _number(asked: Asked, answer: str | None) -> str:
    """The output that a number in a table is held against."""
    if answer in asked.released:
        return str(answer)
    numbers = [n for n, a in asked.released.items() if a.size == 1 and a.dtype.kind in "fiu"]
    if len(numbers) != 1:
        had = ", ".join(asked.released)
        raise Problem(
            f"the models give {had}: nothing says which of it is held against the target",
            hint="set `labelled: false`, and give a reference instead",
        )
    return numbers[0]
