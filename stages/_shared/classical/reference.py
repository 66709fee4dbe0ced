"""What the library itself says of rows, in one shape for all of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..tables.features import encode
from ..tables.table import CATEGORY, NUMBER, Table
from ..tables.table import Column as TableColumn

Rows = Sequence[Mapping[str, Any]]


@dataclass
class Expected:
    """What is to come out, by what an output gives; arrays of N rows.

    Attributes:
        values: "label" (places in the classes), "probabilities", "scores", "value", "vector",
            "cluster", "distances", "score", "anomaly".
        deciding: a classifier's or clusterer's numbers whose greatest is the label, [N, K].
    """

    values: dict[str, Any] = field(default_factory=dict)
    deciding: list[Any] = field(default_factory=list)


def of_sklearn(
    estimator: Any, columns: Sequence[tuple[str, str]], rows: Rows, role: str
) -> Expected:
    """An estimator of scikit-learn."""
    given = _table(estimator, columns, rows)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ways = {"classifier": _classified, "regressor": _regressed, "clusterer": _clustered,
                "detector": _detected, "transformer": _transformed}  # fmt: skip
        return ways[role](estimator, given)


def _table(estimator: Any, columns: Sequence[tuple[str, str]], rows: Rows) -> Any:
    names = getattr(estimator, "feature_names_in_", None)
    texts = {n for n, kind in columns if kind == "category"}
    # A missing text is NaN for scikit-learn; None would be a category.
    rows = [{n: np.nan if v is None else v for n, v in row.items()} for row in rows]
    if names is None:
        kind = object if texts else np.float64
        return np.array([[row[n] for n, _ in columns] for row in rows], dtype=kind)
    import pandas  # only for estimators that were trained on its tables

    return pandas.DataFrame(
        {
            name: pandas.Series(
                [row[name] for row in rows], dtype=object if name in texts else np.float64
            )
            for name in names
        }
    )


def _classified(estimator: Any, given: Any) -> Expected:
    classes = list(estimator.classes_)
    places = [classes.index(label) for label in estimator.predict(given)]
    found = Expected({"label": np.array(places)})
    decision = _maybe(estimator, "decision_function", given)
    if decision is not None:
        decision = np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision
        found.deciding.append(decision)
        if decision.shape[1] == len(classes):
            found.values["scores"] = decision
    probabilities = _maybe(estimator, "predict_proba", given)
    if probabilities is not None:
        found.values["probabilities"] = probabilities
        found.deciding.append(probabilities)
        if (threshold := _threshold(estimator)) is not None:
            shares = probabilities[:, 1]
            found.deciding.append(np.stack([np.full(len(shares), threshold), shares], axis=1))
    return found


def _threshold(estimator: Any) -> float | None:
    """Where a classifier of two classes says another label than the more probable one."""
    if type(estimator).__name__ == "TunedThresholdClassifierCV":
        return float(estimator.best_threshold_)
    if type(estimator).__name__ == "FixedThresholdClassifier":
        return 0.5 if estimator.threshold == "auto" else float(estimator.threshold)
    return None


def _maybe(estimator: Any, method: str, given: Any) -> Any:
    if not hasattr(estimator, method):
        return None
    try:
        return np.asarray(getattr(estimator, method)(given))
    except (AttributeError, NotImplementedError):
        return None  # of a pipeline or a vote, whose members decide


def _regressed(estimator: Any, given: Any) -> Expected:
    return Expected({"value": np.asarray(estimator.predict(given), float)})


def _clustered(estimator: Any, given: Any) -> Expected:
    found = Expected({"cluster": np.asarray(estimator.predict(given))})
    if (shares := _maybe(estimator, "predict_proba", given)) is not None:
        found.values["probabilities"] = shares
        found.deciding.append(shares)
    elif (far := _maybe(estimator, "transform", given)) is not None:
        found.values["distances"] = far
        found.deciding.append(-far)
    return found


def _detected(estimator: Any, given: Any) -> Expected:
    said = np.asarray(estimator.predict(given)) == -1
    return Expected({"anomaly": said.astype(int), "score": estimator.decision_function(given)})


def _transformed(estimator: Any, given: Any) -> Expected:
    found = estimator.transform(given)
    found = found.toarray() if hasattr(found, "toarray") else found
    return Expected({"vector": np.asarray(found, float)})


def numbers_of(
    columns: Sequence[tuple[str, str]], rows: Rows, description: Mapping[str, Any]
) -> Any:
    """The features of a booster or a machine: float64 [N, F]."""
    if not description.get("features"):
        return np.array([[float(row[n]) for n, _ in columns] for row in rows])
    table = Table(None, {n: _column(n, kind, rows) for n, kind in columns}, np.arange(len(rows)))  # type: ignore[arg-type]
    return encode(table, description["features"])


def _column(name: str, kind: str, rows: Rows) -> TableColumn:
    if kind != "category":
        return TableColumn(name, NUMBER, np.array([float(r[name]) for r in rows]))
    values = np.empty(len(rows), dtype=object)
    values[:] = [r[name] if isinstance(r[name], str) else None for r in rows]
    return TableColumn(name, CATEGORY, values)


def of_xgboost(booster: Any, numbers: Any, role: str, use: int | None) -> Expected:
    """A booster of XGBoost."""
    import xgboost  # heavy, for its models alone

    types = booster.feature_types
    booster.set_param({"nthread": 1})
    data = xgboost.DMatrix(
        numbers.astype(np.float32),
        feature_names=booster.feature_names,
        feature_types=types,
        enable_categorical="c" in (types or ()),
        nthread=1,
    )
    rounds = (0, 0 if use is None else use)
    found = booster.predict(data, iteration_range=rounds).astype(float)
    if role == "classifier" and found.ndim == 1 and '"multi:softmax"' in booster.save_config():
        margins = booster.predict(data, iteration_range=rounds, output_margin=True).astype(float)
        grown = np.exp(margins - margins.max(axis=1, keepdims=True))
        found = grown / grown.sum(axis=1, keepdims=True)
    return _boosted(found, role)


def of_lightgbm(booster: Any, numbers: Any, role: str) -> Expected:
    """A booster of LightGBM."""
    return _boosted(np.asarray(booster.predict(numbers, num_threads=1), float), role)


def _boosted(found: Any, role: str) -> Expected:
    if role != "classifier":
        return Expected({"value": found})
    shares = np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
    return Expected({"label": shares.argmax(axis=1), "probabilities": shares}, [shares])


def of_libsvm(native: Any, numbers: Any, role: str, probable: bool) -> Expected:
    """LIBSVM itself; labels as places in the file's order."""
    from libsvm.svmutil import svm_predict  # a C library, for its models alone

    said, _, values = svm_predict([], numbers, native, f"-q -b {int(probable)}")
    found = np.array(values, float)
    if role == "regressor":
        return Expected({"value": np.array(said)})
    if role == "detector":
        return Expected({"anomaly": (np.array(said) == -1).astype(int), "score": found[:, 0]})
    order = list(native.get_labels())
    places = np.array([order.index(int(label)) for label in said])
    if probable:
        return Expected({"label": places, "probabilities": found}, [found])
    votes = _votes(found, len(order))
    return Expected({"label": places}, [votes])


def _votes(decisions: Any, count: int) -> Any:
    """Near ties between classes: the least decision that stands between two of them."""
    votes = np.zeros((len(decisions), count))
    place = 0
    for i in range(count):
        for j in range(i + 1, count):
            votes[:, i] += np.tanh(decisions[:, place])
            votes[:, j] -= np.tanh(decisions[:, place])
            place += 1
    return votes
