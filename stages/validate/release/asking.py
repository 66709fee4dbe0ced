"""Both models, and perhaps a reference, asked about one sample after the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.parity.aligning import brought, pair
from ..._shared.parity.asking import answer_of
from ..._shared.parity.predicted import PredictedSide
from ..._shared.parity.rows import RowSide
from ..._shared.parity.samples import Sample
from ..._shared.parity.sides import CoreMLSide, open_side
from ..._shared.problem.problem import Problem
from ..._shared.tables.description import KEY

Answers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """What was said to one sample; of classifiers scores in the order of each model's labels."""

    sample: Sample
    released: Answers
    today: Answers
    reference: Answers | None

    @property
    def both(self) -> tuple[Answers, Answers]:
        """The released model's and today's."""
        return self.released, self.today


@dataclass(frozen=True)
class Labels:
    """The labels of both models, and of a reference, by name."""

    released: tuple[str, ...]
    today: tuple[str, ...]
    reference: tuple[str, ...] = ()

    def places(self, side: str) -> np.ndarray:
        """Where a side has the scores of the shared labels."""
        known = {"released": self.released, "today": self.today, "reference": self.reference}
        return np.array([known[side].index(label) for label in self.shared])

    @property
    def shared(self) -> tuple[str, ...]:
        """Those that both know, in the released model's order."""
        return tuple(label for label in self.released if label in self.today)

    @property
    def added(self) -> list[str]:
        return sorted(set(self.today) - set(self.released))

    @property
    def removed(self) -> list[str]:
        return sorted(set(self.released) - set(self.today))


class Models:
    """The models of a comparison, opened.

    Attributes:
        labels: of classifiers, else None.
        answer: the output of the released model that holds its label, or a regressor's number.
        target: the column that today's model says it learnt.
    """

    def __init__(self, job: Any) -> None:
        how = (job.params.precision, job.params.scaling)
        self.released = _open("the released model", job.inputs["released"], *how)
        self.today = _open("today's model", job.inputs["model"], *how)
        given: Path | None = job.inputs.get("reference")
        self.reference = None if given is None else open_side(given, "float32", how[1])
        for one, other in ((self.today, self.released), (self.released, self.today)):
            one.adopt(other.preprocessing)
            if self.reference is not None:
                one.adopt(self.reference.preprocessing)
        self.labels = _labels(self.released.labels, self.today.labels, self.reference)
        description = self.today.model.description
        self.answer: str | None = self.released.model.description.predicted_feature
        self._answers = (self.answer, description.predicted_feature)
        self.target = _target(description)
        self._pairs: dict[str, dict[str, str]] = {}

    @property
    def takes_pictures(self) -> bool:
        """Whether today's model takes a picture."""
        return any(f.image is not None for f in self.today.model.description.inputs)

    def ask_rows(self) -> None:
        """From now on samples are rows of a table."""
        today, released = self.today.model, self.released.model
        same = self.labels is not None and not (self.labels.added or self.labels.removed)
        order = self.labels.released if same and self.labels is not None else ()
        self.released, self.today = RowSide(released), RowSide(today, order)
        if isinstance(self.reference, CoreMLSide):
            labels = order if self.reference.labels else ()
            self.reference = RowSide(self.reference.model, labels)
        elif self.reference is not None and not isinstance(self.reference, PredictedSide):
            raise Problem(
                "a torch model cannot be asked about rows of a table",
                hint="let `predict/outputs` ask it, and give its predictions as reference",
            )

    def ask(self, sample: Sample, content: Any) -> Asked:
        """All answers to a sample, by the released model's names of outputs."""
        classes = self.labels is not None and sample.values is None
        found = [
            None if side is None else answer_of(side, sample.name, content, classes)
            for side in (self.released, self.today, self.reference)
        ]
        released, today, reference = found
        assert released is not None and today is not None
        if not classes:
            released, today = self._kept(released), self._kept(today)
            today = self._brought("today's model", released, today)
            if reference is not None:
                reference = self._brought("the reference", released, reference)
        return Asked(sample, released, today, reference)

    def _kept(self, answers: Answers) -> Answers:
        """Of classifiers of rows with different labels the answer alone: scores have no match."""
        if self.labels is None or not (self.labels.added or self.labels.removed):
            return answers
        return {name: a for name, a in answers.items() if name in self._answers}

    def _brought(self, who: str, released: Answers, answers: Answers) -> Answers:
        try:
            if who not in self._pairs:
                self._pairs[who] = pair(released, answers)
            return brought(answers, released, self._pairs[who])
        except Problem as problem:
            told = str(problem).replace("the candidate", who)
            raise Problem(
                f"{who} cannot be compared with the released model: {told}",
                hint="a model with another interface is a new major version: leave the stage out "
                "of this release, or give samples and outputs that both have",
            ) from problem


def _open(who: str, path: Path, precision: str, scaling: str) -> Any:
    try:
        return CoreMLSide(path, precision, scaling)
    except Problem as problem:
        raise Problem(f"{who}: {problem}", problem.hint) from problem


def _labels(released: tuple[str, ...], today: tuple[str, ...], reference: Any) -> Labels | None:
    if not released and not today:
        return None
    if not released or not today:
        which = "today's model is" if today else "the released model was"
        raise Problem(
            f"{which} a classifier, the other one is none: they cannot be compared",
            hint="a model with another interface is a new major version: leave the stage out of "
            "this release",
        )
    if isinstance(reference, PredictedSide):
        reference.adopt_labels(released)
    labels = Labels(released, today, () if reference is None else reference.labels)
    if not labels.shared:
        raise Problem(
            f"the models share no label: the released one knows {', '.join(released[:3])}, "
            f"today's {', '.join(today[:3])}"
        )
    lacking = [label for label in labels.shared if label not in labels.reference]
    if reference is not None and lacking:
        raise Problem(f"the reference has no label '{lacking[0]}', which both models know")
    return labels


def _target(description: Any) -> str | None:
    text = description.metadata.get("user_defined", {}).get(KEY)
    target = json.loads(text).get("target") if text else None
    return target if isinstance(target, str) else None
