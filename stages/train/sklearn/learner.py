"""Fitting estimators and asking them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ..._shared.problem.problem import Problem
from ..._shared.tables.frame import to_frame
from ..._shared.tabular.data import ANOMALY, CLASSIFICATION, REGRESSION, TRANSFORM, Data
from ..._shared.tabular.judging import Answers
from .searching import Search

_FAILURES = (ValueError, TypeError, AttributeError, ArithmeticError, np.linalg.LinAlgError)


@dataclass
class Learner:
    """One assembled estimator, fitted anew each time."""

    estimator: Any
    name: str
    task: str
    labels: list[Any] | None
    threads: int
    search: Search | None
    warned: dict[str, None] = field(default_factory=dict)

    def learn(self, data: Data, watch: Data | None, rounds: int | None = None) -> Any:
        """A fitted estimator; parameters that are searched are chosen inside ``data``."""
        made = clone(self.estimator)
        if self.search is not None:
            made.set_params(**self.search.choose(data, self.fit, clone(made)))
        return self.fit(made, data)

    def fit(self, made: Any, data: Data) -> Any:
        """Fit this very estimator.

        Raises:
            Problem: scikit-learn refuses the data or a parameter.
        """
        given = self._weights(made, data)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                # Threads, as processes would be a server's children. Fits do not depend on them.
                with joblib.parallel_config(backend="threading", n_jobs=self.threads):
                    made.fit(to_frame(data.table), self.truth(data), **given)
            except _FAILURES as error:
                raise Problem(f"{self.name} cannot learn this: {first_line(error)}") from error
        for warning in told:
            if issubclass(warning.category, (DeprecationWarning, PendingDeprecationWarning)):
                continue  # between libraries, nothing that a user can put right
            self.warned.setdefault(" ".join(str(warning.message).split()))
        return made

    def truth(self, data: Data) -> np.ndarray | None:
        """What is learnt, as scikit-learn takes it."""
        if data.truth is None or self.task == ANOMALY:
            return None
        if self.labels is None:
            return data.truth
        kind = np.int64 if isinstance(self.labels[0], int) else object
        return np.array(self.labels, dtype=kind)[data.truth]

    def ask(self, model: Any, data: Data) -> Answers:
        """What it says of rows."""
        rows = to_frame(data.table)
        if self.task == TRANSFORM:
            found = self._asked(model.transform, rows)
            dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
            return Answers(dense.astype(np.float64))
        said = self._asked(model.predict, rows)
        if self.task == CLASSIFICATION:
            return self._classes(model, rows, said)
        if self.task == ANOMALY:
            return Answers((said == -1).astype(int), decision=_decision(model, rows))
        if self.task == REGRESSION:
            return Answers(np.asarray(said, dtype=np.float64).reshape(len(rows)))
        return Answers(np.asarray(said))

    def rounds(self, model: Any) -> int | None:
        """No estimator is told how long to learn."""
        return None

    def _classes(self, model: Any, rows: Any, said: np.ndarray) -> Answers:
        assert self.labels is not None
        places = {label: place for place, label in enumerate(self.labels)}
        mine = [places[label] for label in model.classes_.tolist()]
        indices = np.array([places[label] for label in said.tolist()], dtype=np.int64)
        if hasattr(model, "predict_proba"):
            scores = np.zeros((len(rows), len(self.labels)))
            # Nearly all sum to 1; those that vote or normalise may leave a row of zeros.
            scores[:, mine] = self._asked(model.predict_proba, rows)
            return Answers(indices, scores)
        decision = _decision(model, rows)
        if decision is not None and decision.ndim == 2 and decision.shape[1] == len(mine):
            wide = np.full((len(rows), len(self.labels)), decision.min())
            wide[:, mine] = decision
            decision = wide
        return Answers(indices, decision=decision)

    def _asked(self, method: Callable[[Any], Any], rows: Any) -> Any:
        try:
            return method(rows)
        except _FAILURES as error:
            raise Problem(f"{self.name} cannot answer: {first_line(error)}") from error

    def _weights(self, made: Any, data: Data) -> dict[str, Any]:
        if data.weight is None:
            return {}
        last = last_of(made)
        if not has_fit_parameter(last, "sample_weight"):
            raise Problem(f"weight: {self.name} takes no weights of rows")
        key = "estimator__sample_weight" if isinstance(made, Pipeline) else "sample_weight"
        return {key: data.weight}


def last_of(model: Any) -> Any:
    """The estimator itself, behind its steps."""
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def before_last(model: Any, data: Data) -> Any:
    """What the estimator itself is given: numbers of shape [N, F], or the frame."""
    rows = to_frame(data.table)
    return model[:-1].transform(rows) if isinstance(model, Pipeline) else rows


def first_line(error: Exception) -> str:
    """What scikit-learn says, without its page of advice."""
    return str(error).strip().split("\n\n")[0].replace("\n", " ")


def importances(model: Any, names: list[str]) -> list[tuple[str, float]]:
    """What counts how much, where the estimator tells: of several labels the mean size."""
    last = last_of(model)
    values = getattr(last, "feature_importances_", None)
    if values is None:
        values = getattr(last, "coef_", None)
        if values is None:
            return []
        values = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
        if values.ndim == 2:
            values = values[0] if len(values) == 1 else np.abs(values).mean(axis=0)
    values = np.asarray(values, dtype=np.float64)
    if isinstance(model, Pipeline):
        try:
            names = [str(name) for name in model[:-1].get_feature_names_out()]
        except (AttributeError, ValueError):
            names = [f"feature {place + 1}" for place in range(len(values))]
    if values.ndim != 1 or len(values) != len(names) or not np.isfinite(values).all():
        return []
    return list(zip(names, values.tolist(), strict=True))


def _decision(model: Any, rows: Any) -> np.ndarray | None:
    asked: Callable[[Any], np.ndarray] | None = getattr(model, "decision_function", None)
    return None if asked is None else np.asarray(asked(rows), dtype=np.float64)
