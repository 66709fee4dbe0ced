"""Fitting a machine of LIBSVM and asking it."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from libsvm.svmutil import svm_parameter, svm_problem, svm_train

from ..._shared.problem.problem import Problem
from ..._shared.tables.features import encode, plan
from ..._shared.tabular.answering import of_libsvm
from ..._shared.tabular.data import ANOMALY, CLASSIFICATION, Data
from ..._shared.tabular.judging import Answers, check_folds, folds_of
from ..._shared.tabular.weighing import row_weights

TYPES = {"c-svc": 0, "nu-svc": 1, "one-class": 2, "epsilon-svr": 3, "nu-svr": 4}
KERNELS = {"linear": 0, "polynomial": 1, "rbf": 2, "sigmoid": 3}
TASKS = {"one-class": ANOMALY, "epsilon-svr": "regression", "nu-svr": "regression"}


@dataclass(frozen=True)
class Learnt:
    """A machine, and how columns become what its kernel takes."""

    machine: Any
    features: list[dict[str, Any]]
    chosen: dict[str, float]


@dataclass
class Learner:
    """LIBSVM with the parameters of the kind."""

    params: Any
    columns: list[dict[str, Any]]
    labels: list[Any] | None
    table: list[dict[str, Any]] = field(default_factory=list)  # of the last search

    @property
    def task(self) -> str:
        """What the machine is for."""
        return TASKS.get(self.params.type, CLASSIFICATION)

    @property
    def gives(self) -> bool:
        """Whether it gives probabilities."""
        return self.task == CLASSIFICATION and bool(self.params.probability)

    def learn(self, data: Data, watch: Data | None, rounds: int | None = None) -> Learnt:
        """A machine; what is searched is chosen inside ``data``."""
        return self._fit(data, self._choose(data) if self.params.search else {}, self.gives)

    def ask(self, model: Learnt, data: Data) -> Answers:
        """What it says of rows."""
        described = {"task": self.task, "labels": self.labels, "probability": self.gives}
        return of_libsvm(model.machine, described, encode(data.table, model.features))

    def rounds(self, model: Learnt) -> int | None:
        """No machine is told how long to learn."""
        return None

    def _fit(self, data: Data, chosen: dict[str, float], gives: bool) -> Learnt:
        params = self.params
        how = {"categories": params.categories, "missing": params.missing, "scale": params.scale}
        features = plan(data.table, self.columns, **how)
        numbers = encode(data.table, features)
        truth = np.ones(len(data)) if self.task == ANOMALY else data.truth
        # It shuffles with the C library's rand(), whoever used that before.
        ctypes.CDLL(None).srand(params.seed)
        settings = svm_parameter(" ".join(self._options(data, len(features), chosen, gives)))
        problem = svm_problem(np.asarray(truth, dtype=np.float64), numbers)
        try:
            machine = svm_train(problem, settings)
        except ValueError as error:
            text = str(error).removeprefix("Error: ").removeprefix("b").strip("' ")
            raise Problem(f"LIBSVM cannot learn this: {text}", hint=self._advice(text)) from error
        return Learnt(machine, features, chosen)

    def _options(self, data: Data, width: int, chosen: dict[str, float], gives: bool) -> list[str]:
        params = self.params
        value = {"c": params.c, "nu": params.nu, "epsilon": params.epsilon, **chosen}
        gamma = chosen.get("gamma") or params.gamma or 1.0 / width
        found = [f"-s {TYPES[params.type]}", f"-t {KERNELS[params.kernel]}", "-q"]
        found += [f"-c {value['c']!r}", f"-n {value['nu']!r}", f"-p {value['epsilon']!r}"]
        found += [f"-g {gamma!r}", f"-d {params.degree}", f"-r {params.coef0!r}"]
        found += [f"-e {params.tolerance!r}", f"-m {params.cache_mb!r}"]
        found += [f"-h {int(params.shrinking)}", f"-b {int(gives)}"]
        if params.class_weight == "balanced":
            weights = row_weights(data, True, len(self.labels or ()))
            assert weights is not None
            assert data.truth is not None
            for label in np.unique(data.truth):
                found.append(f"-w{label} {float(weights[data.truth == label][0])!r}")
        return found

    def _choose(self, data: Data) -> dict[str, float]:
        """The values with the best mean score over folds; of equals the first."""
        params, names = self.params, sorted(self.params.search)
        check_folds(data, params.search_folds, self.task, self.labels, "search_folds")
        parts = list(folds_of(data, params.search_folds, params.seed, self.task))
        self.table = []
        for values in itertools.product(*(params.search[name] for name in names)):
            chosen = dict(zip(names, map(float, values), strict=True))
            scores = []
            for learn, ask in parts:
                asked = data.take(ask)
                model = self._fit(data.take(learn), chosen, False)
                described = {"task": self.task, "labels": self.labels, "probability": False}
                numbers = encode(asked.table, model.features)
                scores.append(self._score(of_libsvm(model.machine, described, numbers), asked))
            self.table.append({"params": chosen, "score": float(np.mean(scores))})
        chosen_row = self.best
        return dict(chosen_row["params"])

    @property
    def best(self) -> dict[str, Any]:
        """The row of the table that was chosen last."""
        return max(self.table, key=lambda row: row["score"])

    def _score(self, answers: Answers, asked: Data) -> float:
        if self.task == CLASSIFICATION:
            return float((answers.said == asked.truth).mean())
        return -float(np.sqrt(((answers.said - asked.truth) ** 2).mean()))

    def _advice(self, text: str) -> str | None:
        return "a smaller nu, or c-svc" if "nu is infeasible" in text else None
