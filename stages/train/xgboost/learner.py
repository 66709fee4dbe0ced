"""Fitting an XGBoost booster and asking it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost

from ..._shared.problem.problem import Problem
from ..._shared.tables.features import encode, plan
from ..._shared.tables.words import suggestion
from ..._shared.tabular.answering import of_xgboost
from ..._shared.tabular.data import CLASSIFICATION, Data
from ..._shared.tabular.judging import Answers, split_off
from ..._shared.tabular.weighing import row_weights

# Whose answer is the mean of the target where no tree says more.
_OF_MEAN = ("reg:squarederror", "reg:gamma", "reg:tweedie", "count:poisson", "reg:logistic")
_POSITIVE = {"reg:gamma": "above 0", "reg:tweedie": "not below 0", "count:poisson": "not below 0"}


@dataclass(frozen=True)
class Learnt:
    """A booster, how columns become its features, and what its training watched."""

    booster: Any
    features: list[dict[str, Any]]
    base_score: float
    curve: list[dict[str, Any]]
    stopped: int | None  # rounds that are used, where early stopping chose them


@dataclass
class Learner:
    """XGBoost with the parameters of the kind."""

    params: Any
    columns: list[dict[str, Any]]
    labels: list[Any] | None
    threads: int
    objective: str = field(init=False)
    watched: list[dict[str, Any]] = field(default_factory=list)  # the last curve that stopped early

    def __post_init__(self) -> None:
        self.objective = objective_of(self.params, self.labels)

    def learn(self, data: Data, watch: Data | None, rounds: int | None = None) -> Learnt:
        """A booster; it stops early by ``watch``, or by rows that are split off ``data``."""
        params, stopping = self.params, self.params.early_stopping if rounds is None else None
        if stopping and watch is None:
            learn, aside = split_off(data, params.validation_share, params.seed, params.task)
            data, watch = data.take(learn), data.take(aside)
        how = {"categories": params.categories, "missing": params.missing}
        features = plan(data.table, self.columns, **how)
        base = self._base_score(data)
        watched: dict[str, Any] = {}
        sets = {"learnt": self._rows(data, features)}
        if stopping:
            sets["watched"] = self._rows(watch, features)
        try:
            booster = xgboost.train(
                {**self._settings(features, base), **params.params},
                sets["learnt"],
                num_boost_round=rounds or params.rounds,
                evals=[(rows, name) for name, rows in sets.items()],
                early_stopping_rounds=stopping,
                evals_result=watched,
                verbose_eval=False,
            )
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise Problem(f"XGBoost cannot learn this: {told_by(error)}") from error
        stopped = int(booster.best_iteration) + 1 if stopping else None
        booster = booster[:stopped] if stopped else booster
        for name in ("best_iteration", "best_score"):  # all that is left is the best
            booster.set_attr(**{name: None})
        curve = _curve(watched)
        self.watched = curve if stopped else self.watched
        return Learnt(booster, features, base, curve, stopped)

    def ask(self, model: Learnt, data: Data) -> Answers:
        """What it says of rows."""
        description = {
            "task": self.params.task, "labels": self.labels, "features": model.features,
        }  # fmt: skip
        return of_xgboost(model.booster, description, encode(data.table, model.features))

    def rounds(self, model: Learnt) -> int | None:
        """What early stopping chose."""
        return model.stopped

    def _rows(self, data: Data | None, features: list[dict[str, Any]]) -> Any:
        assert data is not None
        assert data.truth is not None
        native = any(f.get("native") for f in features)
        balanced = self.params.class_weight == "balanced"
        return xgboost.DMatrix(
            encode(data.table, features).astype(np.float32),
            label=data.truth,
            weight=row_weights(data, balanced, len(self.labels or ())),
            feature_names=safe_names(features),
            feature_types=["c" if f.get("native") else "q" for f in features] if native else None,
            enable_categorical=native,
            nthread=self.threads,
        )

    def _settings(self, features: list[dict[str, Any]], base: float) -> dict[str, Any]:
        params = self.params
        found = {
            "booster": params.booster,
            "objective": self.objective,
            "eta": params.learning_rate,
            "lambda": params.reg_lambda,
            "alpha": params.reg_alpha,
            "base_score": base,
            "seed": params.seed,
            "nthread": self.threads,
            "verbosity": 1,
            "validate_parameters": True,
        }
        if self.objective == "multi:softprob":
            found["num_class"] = len(self.labels or ())
        if self.objective == "binary:logistic":
            found["scale_pos_weight"] = params.scale_pos_weight
        if params.booster == "gblinear":
            # Its default updater runs threads against each other: no two models would be equal.
            return {**found, "updater": "coord_descent"}
        trees = {
            "max_depth": params.max_depth,
            "min_child_weight": params.min_child_weight,
            "gamma": params.gamma,
            "subsample": params.subsample,
            "colsample_bytree": params.colsample,
            "tree_method": params.tree_method,
            "monotone_constraints": self._monotone(features),
        }
        if params.tree_method != "exact":
            trees["max_bin"] = params.max_bin
            trees["grow_policy"] = params.grow_policy
            trees["max_leaves"] = params.max_leaves
        return {**found, **{key: value for key, value in trees.items() if value is not None}}

    def _monotone(self, features: list[dict[str, Any]]) -> str | None:
        wanted = self.params.monotone
        if not wanted:
            return None
        numbers = [c["name"] for c in self.columns if c["type"] == "number"]
        for name in wanted:
            if name not in numbers:
                raise Problem(
                    f"monotone: '{name}' is no column of numbers that is learnt from",
                    hint=suggestion(name, numbers),
                )
        return "(" + ",".join(str(wanted.get(f["column"], 0)) for f in features) + ")"

    def _base_score(self, data: Data) -> float:
        given = self.params.base_score
        if given is None and self.objective in _OF_MEAN:
            given = float(np.average(data.truth, weights=data.weight))
        # XGBoost keeps a float32: what the description says is what it computes with.
        return float(np.float32(0.5 if given is None else given))


def objective_of(params: Any, labels: list[Any] | None) -> str:
    """What ``auto`` means.

    Raises:
        Problem: the objective is for two labels, and there are more.
    """
    if params.objective == "auto":
        if params.task != CLASSIFICATION:
            return "reg:squarederror"
        return "binary:logistic" if len(labels or ()) == 2 else "multi:softprob"
    if params.objective == "binary:logistic" and len(labels or ()) != 2:
        raise Problem(
            f"objective: binary:logistic is for two labels, '{params.target}' has "
            f"{len(labels or ())}",
            hint="objective: multi:softprob",
        )
    return str(params.objective)


def check_target(objective: str, data: Data, name: str) -> None:
    """Refuse numbers that an objective cannot learn, naming the line."""
    truth = data.truth
    assert truth is not None
    if objective in _POSITIVE:
        wrong = truth <= 0 if objective == "reg:gamma" else truth < 0
        limit = _POSITIVE[objective]
    elif objective == "reg:logistic":
        wrong, limit = (truth < 0) | (truth > 1), "from 0 to 1"
    elif objective == "reg:squaredlogerror":
        wrong, limit = truth <= -1, "above -1"
    else:
        return
    rows = np.flatnonzero(wrong)
    if len(rows):
        place = data.table.place(int(rows[0]))
        raise Problem(f"{place}: '{name}' is {truth[rows[0]]:g}, {objective} needs numbers {limit}")


def safe_names(features: list[dict[str, Any]]) -> list[str]:
    """Names that XGBoost takes: no brackets, no less-than signs; all different."""
    names = [feature["name"].translate(str.maketrans("[]<", "()(")) for feature in features]
    return [n if names.count(n) == 1 else f"{n} {place}" for place, n in enumerate(names)]


def told_by(error: Exception) -> str:
    """The sentence in XGBoost's message, without its place in the C++ code."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    head = lines[0].split("Check failed: ")[-1] if lines else type(error).__name__
    return head.partition("] ")[2] if head.startswith("[") and "] " in head else head


def _curve(watched: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a plot: the loss by round, of learnt rows and of watched ones."""
    rows = []
    for name, figures in watched.items():
        for values in figures.values():
            rows += [
                {"round": n, "rows": name, "loss": float(v)} for n, v in enumerate(values, start=1)
            ]
    return rows
