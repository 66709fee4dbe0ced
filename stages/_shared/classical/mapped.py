"""A whole model of one of the libraries as a graph with named ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from . import boosters, lgbm, libsvm_text, xgb
from .every import MODULES
from .features import planned
from .frame import Column, Frame
from .graph import ARRAY, DOUBLE, INT64, TEXT, Graph
from .outputs import End, Names, classified, detected, finish, predicted, role_of
from .results import tail
from .sk_compose import in_training_order

_CLASSIFYING = (boosters.SOFT, boosters.SIGMOID, boosters.EACH_SIGMOID)


def begin(columns: Sequence[tuple[str, str]], vector: str | None) -> tuple[Graph, Frame]:
    """Inputs: one for each column, or one vector of that name.

    Args:
        columns: (name, type), type "number", "integer" or "category".
        vector: the name of the vector, or None.

    Raises:
        Problem: a text cannot stand in a vector.
    """
    assert MODULES
    graph = Graph()
    if vector is None:
        kinds = {"number": DOUBLE, "integer": INT64, "category": TEXT}
        found = [Column(n, graph.input(n, kinds[kind])) for n, kind in columns]
        return graph, Frame(graph, tuple(found))
    texts = [n for n, kind in columns if kind == "category"]
    if texts:
        raise Problem(
            f"features: vector, but column '{texts[0]}' holds texts", hint="features: columns"
        )
    source = graph.input(vector, ARRAY, len(columns))
    return graph, Frame.of(graph, source, [n for n, _ in columns])


def sklearn_end(
    estimator: Any, frame: Frame, task: str | None, names: Names, labels: Any
) -> tuple[End, str]:
    """An estimator of scikit-learn, and its role."""
    role = role_of(estimator, task)
    return finish(estimator, in_training_order(estimator, frame), role, names, labels), role


def booster_end(
    library: str,
    booster: Any,
    frame: Frame,
    description: Mapping[str, Any],
    names: Names,
    labels: Any,
) -> tuple[End, str]:
    """A booster, and its role: it says itself whether it classifies."""
    seen = _seen(frame, description)
    model = (xgb if library == "xgboost" else lgbm).read(booster, seen)
    note(seen, model)
    task = description.get("task")
    soft = model.link in _CLASSIFYING
    objective = _objective(library, booster)
    if task == "regression" or (
        not task and (not soft or objective in ("reg:logistic", "cross_entropy"))
    ):
        return predicted(boosters.number(model), seen, names), "regressor"
    if not soft:
        raise Problem(f"a classifier with the objective {objective} is not mapped to Core ML")
    count = max(2, len(model.base))
    known = list(labels or description.get("labels") or range(count))
    if len(known) != count:
        raise Problem(f"there are {len(known)} labels for {count} classes")
    found = boosters.whole_classifier(model, known)
    if found is None:
        found = tail(seen, boosters.scores(model), known)
    return classified(*found, known, names, True), "classifier"


def _objective(library: str, booster: Any) -> str:
    if library == "xgboost":
        return str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    return str(booster.dump_model(num_iteration=1).get("objective", "")).split(" ")[0]


def svm_end(
    model: libsvm_text.SvmText,
    frame: Frame,
    description: Mapping[str, Any],
    names: Names,
    labels: Any,
) -> tuple[End, str]:
    """A machine of LIBSVM, and its role."""
    seen = _seen(frame, description)
    if seen.width != model.width:
        raise Problem(
            f"the LIBSVM model has {model.width} features, there are {seen.width} columns"
        )
    seen.graph.hints.add(seen.columns, model.machine.vectors)
    if model.kind in libsvm_text.REGRESSORS:
        return predicted(libsvm_text.number(model, seen), seen, names), "regressor"
    if model.kind == libsvm_text.ONE_CLASS:
        return detected(
            Frame.of(seen.graph, libsvm_text.number(model, seen)).vector(), seen
        ), "detector"
    known = description.get("labels")
    if labels is None and known is not None:
        labels = [known[place] for place in model.labels]  # the file's labels are places in them
    elif labels is not None:
        order = sorted(model.labels)
        labels = [labels[order.index(label)] for label in model.labels]
    found = list(labels or model.labels)
    if len(found) != len(model.labels):
        raise Problem(f"there are {len(found)} labels for {len(model.labels)} classes")
    return classified(*libsvm_text.labelled(model, seen, found), found, names, True), "classifier"


def _seen(frame: Frame, description: Mapping[str, Any]) -> Frame:
    """What the model's trees or kernel see of the columns."""
    plan = description.get("features")
    if not plan:
        return frame
    return planned(frame, plan, description.get("reading", {}).get("unknown", "error"))


def note(frame: Frame, model: boosters.Boosted) -> None:
    """Remember the thresholds of a booster's trees."""
    for tree in model.trees:
        for place in np.flatnonzero(np.asarray(tree.left) >= 0):
            feature = int(tree.feature[place])
            if feature < frame.width and np.isfinite(tree.threshold[place]):
                frame.graph.hints.add([frame.columns[feature]], np.array([[tree.threshold[place]]]))
