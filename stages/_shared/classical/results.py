"""What mappers give, by role, and how one mapper asks for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .ensemble import labelled
from .frame import Frame
from .graph import ARRAY, ProgramStep, Value
from .hints import points_of
from .ops import mb
from .registry import find


@dataclass(frozen=True)
class Scores:
    """A classifier's scores, one for each class in the order of ``classes_``.

    Attributes:
        value: the vector that is shown.
        probable: the scores are probabilities; else they are decisions or distances.
        decide: the vector whose greatest element is the label, where it is another one.
    """

    value: Value
    probable: bool = True
    decide: Value | None = None


@dataclass(frozen=True)
class Clusters:
    """A clusterer's answer.

    Attributes:
        cluster: the number of the cluster, a vector of one.
        details: a vector with one element for each cluster, or centre.
        called: what the details are: "distances" or "probabilities".
    """

    cluster: Value
    details: Value
    called: str = "distances"


def ask(estimator: Any, frame: Frame, role: str) -> Any:
    """Map an estimator in a role."""
    mapper = find(estimator, role)
    remember(estimator, frame)
    width = getattr(estimator, "n_features_in_", frame.width)
    if width != frame.width:
        raise Problem(f"{type(estimator).__name__} takes {width} columns, {frame.width} reach it")
    return mapper(estimator, frame)


def remember(estimator: Any, frame: Frame) -> None:
    """Note which values the estimator knows of its columns."""
    points = points_of(estimator, frame.width)
    if points is not None:
        frame.graph.hints.add(frame.columns, points)


def transform(estimator: Any, frame: Frame) -> Frame:
    """Map a transformer; "passthrough" is one too."""
    if estimator is None or isinstance(estimator, str):
        return frame
    return ask(estimator, frame, "transformer")


def regress(estimator: Any, frame: Frame) -> Value:
    """Map a regressor: a number or a vector."""
    return ask(estimator, frame, "regressor")


def regress_vector(estimator: Any, frame: Frame) -> Value:
    """Map a regressor as a vector, whatever it gives."""
    value = regress(estimator, frame)
    return value if value.kind == ARRAY else Frame.of(frame.graph, value).vector()


def score(estimator: Any, frame: Frame) -> Scores:
    """Map a classifier's scores."""
    return ask(estimator, frame, "classifier")


def probabilities(estimator: Any, frame: Frame, who: str) -> Value:
    """Map a classifier that must give probabilities."""
    scores = score(estimator, frame)
    if not scores.probable:
        raise Problem(f"{who} asks {type(estimator).__name__} for probabilities, which has none")
    return scores.value


def classes_of(estimator: Any) -> np.ndarray:
    """A classifier's classes; a model of several outputs has no single list of them."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise Problem(f"{type(estimator).__name__} has no classes_: it is not trained")
    if isinstance(classes, list):
        raise Problem(
            f"{type(estimator).__name__} predicts {len(classes)} labels at once",
            hint="a Core ML classifier has one label: train and convert one model for each",
        )
    return np.asarray(classes)


def binary_pair(frame: Frame, decision: Value) -> Value:
    """The decisions [-d, d] for two classes of one decision [1]."""
    return frame.graph.compute(
        "decisions",
        decision,
        2,
        lambda d: mb.concat(values=[mb.mul(x=d, y=np.float32(-1)), d], axis=0),
    )


def logistic_pair(frame: Frame, decision: Value) -> Value:
    """The probabilities of two classes of one log-odds [1]; each is exact near zero."""
    pair = binary_pair(frame, decision)
    return frame.graph.compute("probabilities", pair, 2, lambda d: mb.sigmoid(x=d))


def softmax(frame: Frame, logits: Value) -> Value:
    """The softmax of a vector."""
    return frame.graph.compute(
        "probabilities", logits, logits.width, lambda x: mb.softmax(x=x, axis=0)
    )


def tail(frame: Frame, found: Scores, labels: Sequence[Any]) -> tuple[Value, Value]:
    """Label and dictionary of a vector of scores, by Core ML's own operator."""
    label, scores = _classify(frame, found.value, labels)
    if found.decide is not None:
        label, _ = _classify(frame, found.decide, labels)
    return label, scores


def _classify(frame: Frame, value: Value, labels: Sequence[Any]) -> tuple[Value, Value]:
    label, scores = labelled(frame.graph, labels)
    step = ProgramStep("classify", [value], [label, scores], lambda x: x, tuple(labels))
    frame.graph.steps.append(step)
    return label, scores
