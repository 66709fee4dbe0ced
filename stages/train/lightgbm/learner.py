"""Fitting a LightGBM booster and asking it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables.features import encode, plan
from ..._shared.tables.words import suggestion
from ..._shared.tabular.answering import of_lightgbm
from ..._shared.tabular.data import CLASSIFICATION, Data
from ..._shared.tabular.judging import Answers, split_off
from ..._shared.tabular.weighing import row_weights

_POSITIVE = {"gamma": "above 0", "tweedie": "not below 0", "poisson": "not below 0"}


@dataclass(frozen=True)
class Learnt:
    """A booster, how columns become its features, and what its training watched."""

    booster: Any
    features: list[dict[str, Any]]
    used: int  # rounds
    curve: list[dict[str, Any]]
    stopped: int | None  # the same, where early stopping chose them


@dataclass
class Learner:
    """LightGBM with the parameters of the kind."""

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
        watched: dict[str, Any] = {}
        calls = [lightgbm.record_evaluation(watched)]
        if stopping:
            calls.append(lightgbm.early_stopping(stopping, verbose=False))
        learnt = self._rows(data, features, None)
        sets = {"learnt": learnt}
        if stopping:
            sets["watched"] = self._rows(watch, features, learnt)
        try:
            booster = lightgbm.train(
                {**self._settings(features), **params.params},
                learnt,
                num_boost_round=rounds or params.rounds,
                # What is learnt never gets worse: alone the watched rows stop it.
                valid_sets=[sets["watched"] if stopping else learnt],
                valid_names=["watched" if stopping else "learnt"],
                callbacks=calls,
            )
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            raise Problem(f"LightGBM cannot learn this: {error}") from error
        stopped = int(booster.best_iteration) if stopping else None
        used = stopped or booster.current_iteration()
        curve = _curve(watched)
        self.watched = curve if stopped else self.watched
        return Learnt(booster, features, used, curve, stopped)

    def ask(self, model: Learnt, data: Data) -> Answers:
        """What it says of rows."""
        description = {"task": self.params.task, "labels": self.labels}
        numbers = encode(data.table, model.features)
        return of_lightgbm(model.booster, description, numbers, model.used)

    def rounds(self, model: Learnt) -> int | None:
        """What early stopping chose."""
        return model.stopped

    def _rows(self, data: Data | None, features: list[dict[str, Any]], like: Any) -> Any:
        assert data is not None
        balanced = self.params.class_weight == "balanced"
        return lightgbm.Dataset(
            encode(data.table, features),
            label=data.truth,
            weight=row_weights(data, balanced, len(self.labels or ())),
            feature_name=safe_names(features),
            categorical_feature=[i for i, f in enumerate(features) if f.get("native")],
            reference=like,
            params={"verbosity": -1, "num_threads": self.threads, "max_bin": self.params.max_bin},
        )

    def _settings(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        params = self.params
        found = {
            "objective": self.objective,
            "boosting": params.boosting,
            "learning_rate": params.learning_rate,
            "num_leaves": params.num_leaves,
            "max_depth": params.max_depth,
            "min_data_in_leaf": params.min_rows,
            "max_bin": params.max_bin,
            "bagging_fraction": params.subsample,
            "bagging_freq": int(params.subsample < 1),
            "feature_fraction": params.colsample,
            "lambda_l2": params.reg_lambda,
            "lambda_l1": params.reg_alpha,
            "seed": params.seed,
            "num_threads": self.threads,
            # Else sums are made in an order that a race of threads, or a timing, decides.
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if self.objective.startswith("multiclass"):
            found["num_class"] = len(self.labels or ())
        if params.monotone:
            found["monotone_constraints"] = self._monotone(features)
        return found

    def _monotone(self, features: list[dict[str, Any]]) -> list[int]:
        wanted = self.params.monotone
        numbers = [c["name"] for c in self.columns if c["type"] == "number"]
        for name in wanted:
            if name not in numbers:
                raise Problem(
                    f"monotone: '{name}' is no column of numbers that is learnt from",
                    hint=suggestion(name, numbers),
                )
        return [wanted.get(f["column"], 0) for f in features]


def objective_of(params: Any, labels: list[Any] | None) -> str:
    """What ``auto`` means.

    Raises:
        Problem: the objective is for two labels, and there are more.
    """
    if params.objective == "auto":
        if params.task != CLASSIFICATION:
            return "regression"
        return "binary" if len(labels or ()) == 2 else "multiclass"
    if params.objective == "binary" and len(labels or ()) != 2:
        raise Problem(
            f"objective: binary is for two labels, '{params.target}' has {len(labels or ())}",
            hint="objective: multiclass",
        )
    return str(params.objective)


def check_target(objective: str, data: Data, name: str) -> None:
    """Refuse numbers that an objective cannot learn, naming the line."""
    truth = data.truth
    if objective not in _POSITIVE or truth is None:
        return
    rows = np.flatnonzero(truth <= 0 if objective == "gamma" else truth < 0)
    if len(rows):
        raise Problem(
            f"{data.table.place(int(rows[0]))}: '{name}' is {truth[rows[0]]:g}, "
            f"{objective} needs numbers {_POSITIVE[objective]}"
        )


def safe_names(features: list[dict[str, Any]]) -> list[str]:
    """Names that LightGBM takes: no blanks, nothing of JSON; all different."""
    names = [re.sub(r"\W", "_", feature["name"]) for feature in features]
    return [n if names.count(n) == 1 else f"{n}_{place}" for place, n in enumerate(names)]


def _curve(watched: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of a plot: the loss by round."""
    return [
        {"round": n, "rows": name, "loss": float(value)}
        for name, found in watched.items()
        for values in found.values()
        for n, value in enumerate(values, start=1)
    ]
