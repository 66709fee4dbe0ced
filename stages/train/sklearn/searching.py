"""Choosing parameters among those that a pipeline lists, inside the rows that are learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from ..._shared.problem.problem import Problem
from ..._shared.tables.frame import to_frame
from ..._shared.tables.words import suggestion
from ..._shared.tabular.data import CLASSIFICATION, Data
from ..._shared.tabular.judging import check_folds, folds_of

Fit = Callable[[Any, Data], Any]


@dataclass
class Search:
    """A grid, and what came of the last time that it was searched."""

    grid: list[dict[str, Any]]
    folds: int
    seed: int
    scoring: str
    task: str
    labels: list[Any] | None
    truth: Callable[[Data], np.ndarray]
    table: list[dict[str, Any]] = field(default_factory=list)

    def choose(self, data: Data, fit: Fit, estimator: Any) -> dict[str, Any]:
        """The parameters with the best mean score over folds; of equals the first."""
        check_folds(data, self.folds, self.task, self.labels, "search_folds")
        parts = list(folds_of(data, self.folds, self.seed, self.task))
        scorer = get_scorer(self.scoring)
        self.table = []
        for choice in self.grid:
            scores = []
            for learn, ask in parts:
                made = fit(clone(estimator).set_params(**choice), data.take(learn))
                asked = data.take(ask)
                scores.append(float(scorer(made, to_frame(asked.table), self.truth(asked))))
            self.table.append({"params": choice, "score": float(np.mean(scores))})
        best = max(range(len(self.grid)), key=lambda i: (self.table[i]["score"], -i))
        return self.grid[best]

    @property
    def best(self) -> dict[str, Any]:
        """The row of the table that was chosen last."""
        return max(self.table, key=lambda row: row["score"])


def search_of(
    params: Any,
    estimator: Any,
    task: str,
    labels: list[Any] | None,
    truth: Callable[[Data], Any],
) -> Search | None:
    """What the parameters ask for, or None.

    Raises:
        Problem: a name that the estimator does not have, a score that scikit-learn does not.
    """
    if not params.search:
        return None
    if task not in (CLASSIFICATION, "regression"):
        raise Problem(f"search: there is no score for {task} to choose by")
    named = _named(params, estimator)
    scoring = params.scoring or _default(estimator, task)
    if scoring not in get_scorer_names():
        raise Problem(
            f"scoring: scikit-learn has no score '{scoring}'",
            hint=suggestion(scoring, get_scorer_names()),
        )
    grid = list(ParameterGrid(named))
    return Search(grid, params.search_folds, params.seed, scoring, task, labels, truth)


def _named(params: Any, estimator: Any) -> dict[str, list[Any]]:
    """Values by scikit-learn's own names: behind steps, the estimator's parameters are below it."""
    known = estimator.get_params(deep=True)
    below = "estimator__" if isinstance(estimator, Pipeline) else ""
    found = {}
    for name, values in params.search.items():
        full = below + name if below + name in known else name
        if full not in known:
            own = [n.removeprefix(below) for n in known if n.startswith(below)]
            hint = suggestion(name, own + [n for n in known if "__" in n])
            raise Problem(f"search: {params.estimator} has no parameter '{name}'", hint=hint)
        found[full] = values
    return found


def _default(estimator: Any, task: str) -> str:
    if task != CLASSIFICATION:
        return "neg_root_mean_squared_error"
    return "neg_log_loss" if hasattr(estimator, "predict_proba") else "accuracy"
