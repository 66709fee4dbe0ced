"""A stored model of tables, whichever library it is of: its description, and its answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from ..tables.description import FORMAT, inputs_of
from ..tables.features import encode
from ..tables.frame import to_frame
from ..tables.table import MISSING, NUMBER, Table
from . import answering, formats
from .data import ANOMALY, CLASSIFICATION, CLUSTERING, GIVES, REGRESSION, TRANSFORM
from .judging import Answers

_PICKLES = (".joblib", ".pkl", ".pickle")


@dataclass(frozen=True)
class Stored:
    """A model that can be asked: ``samples(path, description)`` reads the table it wants."""

    description: dict[str, Any]
    model: Any  # the estimator, booster or machine
    ask: Callable[[Table], dict[str, np.ndarray]]  # outputs of the description, [N, ...]


def load(path: Path, trusted: bool) -> Stored:
    """A model that train/sklearn, train/xgboost, train/lightgbm or train/libsvm wrote.

    An estimator that somebody else dumped describes itself as far as it can.

    Raises:
        Problem: it cannot be read, or must not be.
    """
    if path.suffix in _PICKLES:
        estimator, description = load_sklearn(path, trusted)
        return Stored(description, estimator, lambda t: of_sklearn(estimator, description, t))
    readers = {
        ".json": (formats.load_xgboost, answering.of_xgboost),
        ".ubj": (formats.load_xgboost, answering.of_xgboost),
        ".txt": (formats.load_lightgbm, answering.of_lightgbm),
        ".libsvm": (formats.load_libsvm, answering.of_libsvm),
    }
    if path.suffix not in readers:
        known = ", ".join((*_PICKLES, *readers))
        raise Problem(f"{path.name} is no model of tables: its name ends in none of {known}")
    read, answer = readers[path.suffix]
    model, found = read(path)

    def ask(table: Table) -> dict[str, np.ndarray]:
        return named(answer(model, found, encode(table, found["features"])), found)

    return Stored(found, model, ask)


def load_sklearn(path: Path, trusted: bool) -> tuple[Any, dict[str, Any]]:
    """An estimator and its description.

    Raises:
        Problem: reading it would execute code of somebody, or it is of another version.
    """
    if not trusted:
        raise Problem(
            f"{path.name} executes what it holds when it is read",
            hint="where you know who wrote it: {from: ..., trust: true}",
        )
    import joblib  # heavy, and not in every toolchain
    import sklearn
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            held = joblib.load(path)
    except InconsistentVersionWarning as warning:
        raise Problem(
            f"{path.name} was written by scikit-learn {warning.original_sklearn_version}, this "
            f"toolchain has {sklearn.__version__}: what it would answer is not known",
            hint="train it again here, or write it anew with that version",
        ) from warning
    except Exception as error:  # whatever unpickling raises: missing modules, truncated files
        raise Problem(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            hint=f"it must be what joblib or pickle wrote with scikit-learn {sklearn.__version__}",
        ) from error
    if isinstance(held, Mapping) and "estimator" in held:
        description = {key: value for key, value in held.items() if key != "estimator"}
        if description.get("format") != FORMAT:
            raise Problem(f"{path.name} has format {description.get('format')}, known is {FORMAT}")
        return held["estimator"], description
    if not hasattr(held, "get_params"):
        raise Problem(f"{path.name} holds a {type(held).__name__}, no estimator of scikit-learn")
    return held, _own(path, held)


def of_sklearn(estimator: Any, description: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """What an estimator says, by the names of the description's outputs."""
    task, rows = description["task"], to_frame(table)
    if not hasattr(estimator, "feature_names_in_"):
        rows = rows.to_numpy()  # it was fitted on an array, and warns of names
    if task == TRANSFORM:
        found = estimator.transform(rows)
        dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
        return {"components": dense.astype(np.float64)}
    said = np.asarray(estimator.predict(rows))
    if task == REGRESSION:
        return {"value": said.astype(np.float64)}
    if task == CLUSTERING:
        return {"cluster": said.astype(np.int64)}
    if task == ANOMALY:
        found = {"anomaly": (said == -1).astype(np.int64)}
        if hasattr(estimator, "decision_function"):
            found["score"] = np.asarray(estimator.decision_function(rows), dtype=np.float64)
        return found
    result = {"label": _labels(said)}
    if hasattr(estimator, "predict_proba"):
        scores = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
        order = [list(estimator.classes_).index(label) for label in description["labels"]]
        result["probabilities"] = scores[:, order]
    return result


def named(answers: Answers, description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Answers by the names of the description's outputs."""
    task = description["task"]
    if task == REGRESSION:
        return {"value": answers.said}
    if task == ANOMALY:
        found = {"anomaly": answers.said.astype(np.int64)}
        return found if answers.decision is None else {**found, "score": answers.decision}
    result = {"label": _labels(np.array(description["labels"], dtype=object)[answers.said])}
    return result if answers.scores is None else {**result, "probabilities": answers.scores}


def _labels(said: np.ndarray) -> np.ndarray:
    """Integers or text, never objects: a file of arrays holds no others."""
    if said.dtype == object:
        texts = all(isinstance(label, str) for label in said)
        return said.astype(str) if texts else said.astype(np.int64)
    return said


def _own(path: Path, estimator: Any) -> dict[str, Any]:
    """What an estimator that nobody described tells of itself: columns of numbers."""
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise Problem(f"{path.name} holds a {type(estimator).__name__} that was never fitted")
    names = getattr(estimator, "feature_names_in_", [f"x{place}" for place in range(count)])
    columns = [
        {"name": str(name), "type": NUMBER, "categories": None, "missing": "keep"} for name in names
    ]
    labels = getattr(estimator, "classes_", None)
    task, outputs = _task(estimator, path)
    return {
        "format": FORMAT,
        "task": task,
        "target": None,
        "labels": None if labels is None else np.asarray(labels).tolist(),
        "columns": columns,
        "inputs": inputs_of(columns),
        "outputs": [{"name": name, "gives": gives} for name, gives in outputs],
        "reading": {
            "header": None,
            "skip": 0,
            "delimiter": "auto",
            "decimal": ".",
            "missing_values": list(MISSING),
            "unknown": "error",
        },
        "library_versions": {},
    }


def _task(estimator: Any, path: Path) -> tuple[str, list[tuple[str, str]]]:
    kind = getattr(estimator, "_estimator_type", None)
    tasks = {
        "classifier": CLASSIFICATION,
        "regressor": REGRESSION,
        "clusterer": CLUSTERING,
        "DensityEstimator": CLUSTERING,
        "outlier_detector": ANOMALY,
    }
    task = tasks.get(kind or "", TRANSFORM if hasattr(estimator, "transform") else None)
    if task is None:
        raise Problem(f"{path.name} holds a {type(estimator).__name__}, which answers nothing")
    found = list(GIVES[task])
    if task == CLASSIFICATION and not hasattr(estimator, "predict_proba"):
        found = [pair for pair in found if pair[1] != "probabilities"]
    return task, found
