"""The ends of a converted model: names and kinds of what it gives, by role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .assemble import Result
from .blocks import element
from .frame import Frame
from .graph import ARRAY, DOUBLE, INT64, Value
from .ops import mb
from .registry import find_whole, has
from .results import Clusters, ask, classes_of, regress, remember, score, tail, transform
from .sk_compose import last, unwrap


@dataclass(frozen=True)
class Names:
    """How outputs are called."""

    label: str = "classLabel"
    scores: str | None = None
    target: str = "prediction"


@dataclass(frozen=True)
class End:
    """A whole model's result, and what each output gives: (name, what)."""

    result: Result
    gives: tuple[tuple[str, str], ...]
    labels: tuple[Any, ...] = ()


# What scikit-learn calls estimators.
_KINDS = {
    "classifier": "classifier",
    "regressor": "regressor",
    "clusterer": "clusterer",
    "outlier_detector": "detector",
    "DensityEstimator": "clusterer",
}


def role_of(estimator: Any, task: str | None) -> str:
    """What the whole estimator is for."""
    inner = last(estimator)
    told = {
        "classification": "classifier",
        "regression": "regressor",
        "clustering": "clusterer",
        "anomaly": "detector",
        "transform": "transformer",
    }.get(task or "")
    if told:
        return told
    kind = getattr(inner, "_estimator_type", None)
    named = _KINDS.get(kind or "")
    if named and (has(inner, named) or not has(inner, "transformer")):
        return named
    for role in ("classifier", "regressor", "detector", "clusterer", "transformer"):
        if has(inner, role):
            return role
    return "transformer" if hasattr(inner, "transform") else "regressor"


def finish(estimator: Any, frame: Frame, role: str, names: Names, labels: Any) -> End:
    """Map a whole estimator."""
    makers = {
        "classifier": _classifier,
        "regressor": _regressor,
        "clusterer": _clusterer,
        "detector": _detector,
        "transformer": _transformer,
    }
    return makers[role](estimator, frame, names, labels)


def labels_of(estimator: Any, given: Sequence[Any] | None) -> tuple[Any, ...]:
    """Class labels as Core ML has them: all texts, or all whole numbers.

    Raises:
        Problem: they are something else, or as many were not given as there are classes.
    """
    classes = classes_of(estimator)
    if given is not None:
        if len(given) != len(classes):
            raise Problem(f"there are {len(given)} labels for {len(classes)} classes")
        classes = np.asarray(list(given), dtype=object)
    plain = [c.item() if isinstance(c, np.generic) else c for c in classes]
    texts = [isinstance(c, str) for c in plain]
    if all(texts):
        return tuple(plain)
    if not any(texts) and all(float(c).is_integer() for c in plain):
        return tuple(int(c) for c in plain)
    raise Problem(
        f"class labels are {', '.join(map(repr, plain[:5]))}: Core ML has texts or whole numbers",
        hint="give labels: [...] in the order of classes_",
    )


def _classifier(estimator: Any, frame: Frame, names: Names, given: Any) -> End:
    inner, frame = unwrap(estimator, frame)
    labels = labels_of(estimator, given)
    if (maker := find_whole(inner)) is not None and len(labels) > 1:
        remember(inner, frame)
        label, scores = maker(inner, frame, labels)
        return classified(label, scores, labels, names, True)
    found = score(inner, frame)
    return classified(*tail(frame, found, labels), labels, names, found.probable)


def classified(
    label: Value, scores: Value | None, labels: Sequence[Any], names: Names, probable: bool
) -> End:
    """Name a classifier's outputs."""
    label.name = names.label
    if scores is None:
        return End(Result((label,), label), ((label.name, "label"),), tuple(labels))
    scores.name = names.scores or ("classProbability" if probable else "classScore")
    gives = ((label.name, "label"), (scores.name, "probabilities" if probable else "scores"))
    return End(Result((label, scores), label, scores), gives, tuple(labels))


def _regressor(estimator: Any, frame: Frame, names: Names, given: Any) -> End:
    return predicted(regress(estimator, frame), frame, names)


def predicted(value: Value, frame: Frame, names: Names) -> End:
    """Name a regressor's output: a number, or a vector of several."""
    if value.kind == ARRAY and value.width == 1:
        value = element(frame.graph, value, names.target)
    value = _output(frame, value)
    value.name = names.target
    whole = value if value.kind == DOUBLE else None
    return End(Result((value,), whole), ((value.name, "value"),))


def _output(frame: Frame, value: Value) -> Value:
    """A value that may be called anew: no input of the model."""
    made = {v for s in frame.graph.steps for v in s.outputs}
    if value in made:
        return value
    if value.kind == ARRAY:
        return frame.graph.compute("same", value, value.width, lambda x: mb.identity(x=x))
    vector = Frame.of(frame.graph, value).vector()
    return element(frame.graph, vector, "same", value.kind)


def _clusterer(estimator: Any, frame: Frame, names: Names, given: Any) -> End:
    found: Clusters = ask(estimator, frame, "clusterer")
    place = element(frame.graph, found.cluster, "cluster", INT64)
    place.name, found.details.name = "cluster", found.called
    gives = (("cluster", "cluster"), (found.called, found.called))
    return End(Result((place, found.details)), gives)


def _detector(estimator: Any, frame: Frame, names: Names, given: Any) -> End:
    return detected(ask(estimator, frame, "detector"), frame)


def detected(value: Value, frame: Frame) -> End:
    """The score of a detector, and whether it is below zero."""
    graph = frame.graph

    def build(x: Any) -> Any:
        return mb.cast(x=mb.less(x=x, y=np.float32(0)), dtype="fp32")

    sign = graph.compute("is_anomaly", value, 1, build)
    number, anomaly = element(graph, value, "score"), element(graph, sign, "anomaly", INT64)
    number.name, anomaly.name = "score", "anomaly"
    return End(Result((number, anomaly)), (("score", "score"), ("anomaly", "label")))


def _transformer(estimator: Any, frame: Frame, names: Names, given: Any) -> End:
    result = transform(estimator, frame)
    if any(c.is_text for c in result.columns):
        raise Problem("the result of the transformers holds texts, which no Core ML array does")
    value = _output(frame, result.vector())
    value.name = "transformed"
    return End(Result((value,)), (("transformed", "vector"),))
