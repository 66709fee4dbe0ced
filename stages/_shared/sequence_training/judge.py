"""Learn some, ask the others, then learn everything: the same story for every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import nn

from ..problem.problem import Problem
from ..torch_setup.configure import seed_everything
from .loop import Aim, Change, Tell, ask, train
from .rows import Rows, check_classes
from .splits import Parts, folds, holdout


@dataclass
class Learnt:
    """The outcome of one training."""

    net: nn.Module
    epochs: int
    facts: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Verdict:
    """Answers for rows that were not learnt, and what learnt the others."""

    how: str  # "5 folds", "40 held out", "the test input"
    rows: Rows
    answers: np.ndarray  # probabilities [n, K], or values [n, 1]
    learnt: Learnt  # the last one
    epochs: int
    folds: list[np.ndarray] = field(default_factory=list)  # places in ``rows`` of each fold


class Learner:
    """Knows the parameters and how a fresh network is made; learns any part of the data.

    Args:
        params: of the kind.
        labels: of a classifier; none: values are learnt.
        build: makes a network, scaled to the rows that it will learn.
        tell: takes (done, total, text).
        change: random changes of a batch while training.
    """

    def __init__(
        self,
        params: Any,
        labels: tuple[str, ...],
        build: Callable[[Rows], nn.Module],
        tell: Tell,
        change: Change | None = None,
    ) -> None:
        self.params, self.labels = params, labels
        self._build, self._tell, self._change = build, tell, change

    def learn(self, rows: Rows, watch: Rows | None = None, epochs: int | None = None) -> Learnt:
        """Train on all rows; ``epochs``: so many, without early stopping."""
        params = self.params
        seed_everything(params.seed)
        if watch is None and params.patience and epochs is None:
            stay, out = self.split(rows, params.validation_share, params.seed + 1)
            rows, watch = rows.take(stay), rows.take(out)
        net = self._build(rows)
        history = train(
            net,
            rows,
            watch,
            self._aim(rows),
            params,
            epochs or params.epochs,
            self._tell,
            self._change,
        )
        facts = {}
        if watch is not None and self.labels and params.calibrate:
            facts["temperature"] = _cool(net, ask(net, watch), watch.truth)
        return Learnt(net, history.best_epoch, facts, history.rows)

    def answers(self, learnt: Learnt, rows: Rows) -> np.ndarray:
        """Probabilities or values."""
        out = ask(learnt.net, rows)
        return softmax(out, axis=1) if self.labels else out

    def split(self, rows: Rows, share: float, seed: int) -> Parts:
        """One split, stratified where there are labels; groups stay together."""
        return holdout(self._strata(rows), rows.groups, share, seed)

    def folds(self, rows: Rows) -> list[Parts]:
        """Stratified folds; groups stay together."""
        return folds(self._strata(rows), rows.groups, self.params.folds, self.params.seed)

    def _strata(self, rows: Rows) -> np.ndarray:
        return rows.truth if self.labels else np.zeros(len(rows), dtype=np.int64)

    def _aim(self, rows: Rows) -> Aim:
        params = self.params
        if not self.labels:
            return Aim(0, loss=params.loss, scale=max(float(rows.truth.std()), 1e-12))
        weight = None
        if params.class_weight == "balanced":
            counts = np.bincount(rows.truth, minlength=len(self.labels))
            weight = torch.from_numpy(len(rows) / (len(counts) * np.maximum(counts, 1))).float()
        return Aim(len(self.labels), weight, params.label_smoothing)


def judge(
    learner: Learner, rows: Rows, test: Rows | None, watch: Rows | None, labels: tuple[str, ...]
) -> Verdict:
    """Answers for rows that were not learnt, as ``evaluate`` says.

    Raises:
        Problem: a class has too few examples, or the test input is missing or not used.
    """
    params = learner.params
    how = params.evaluate
    if how == "auto":
        how = "holdout" if test is None else "test"
    if (how == "test") != (test is not None):
        what = "is missing" if test is None else "is not used"
        raise Problem(f"evaluate: {params.evaluate}, but the input 'test' {what}")
    stopping = 1 if params.patience and watch is None else 0
    if test is not None:
        _check(rows, labels, 1 + stopping, "training")
        learnt = learner.learn(rows, watch)
        answers = learner.answers(learnt, test)
        return Verdict("the test input", test, answers, learnt, learnt.epochs)
    if how == "kfold":
        _check(rows, labels, max(params.folds, 2 + stopping), f"{params.folds}-fold evaluation")
        return _folded(learner, rows, watch)
    _check(rows, labels, 2 + stopping, "a held-out part")
    stay, out = learner.split(rows, params.holdout, params.seed)
    learnt = learner.learn(rows.take(stay), watch)
    asked = rows.take(out)
    answers = learner.answers(learnt, asked)
    return Verdict(f"{len(out)} held out", asked, answers, learnt, learnt.epochs)


def finish(learner: Learner, rows: Rows, watch: Rows | None, verdict: Verdict) -> Learnt:
    """The network to keep: learnt once more on everything, where that is asked for."""
    if verdict.how == "the test input" or not learner.params.refit:
        return verdict.learnt
    if watch is not None:
        return learner.learn(rows, watch)
    # Without rows to watch it takes as long as it took when it was judged.
    learnt = learner.learn(rows, epochs=verdict.epochs)
    temperature = verdict.learnt.facts.get("temperature")
    if temperature:
        scale_head(learnt.net, temperature)
        learnt.facts["temperature"] = temperature
    return learnt


def scale_head(net: nn.Module, temperature: float) -> None:
    """Divide the logits by a temperature, inside the last layer."""
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.div_(temperature)


def _check(rows: Rows, labels: tuple[str, ...], least: int, what: str) -> None:
    if labels:
        check_classes(rows, labels, least, what)
    elif len(set(rows.groups)) < max(2, least):
        raise Problem(f"{what} needs at least {max(2, least)} different rows, got {len(rows)}")


def _folded(learner: Learner, rows: Rows, watch: Rows | None) -> Verdict:
    answers = np.zeros((len(rows), max(1, len(learner.labels))))
    epochs, places = [], []
    for stay, out in learner.folds(rows):
        learnt = learner.learn(rows.take(stay), watch)
        answers[out] = learner.answers(learnt, rows.take(out))
        epochs.append(learnt.epochs)
        places.append(out)
    middle = round(float(np.median(epochs)))
    return Verdict(f"{learner.params.folds} folds", rows, answers, learnt, middle, places)


def _cool(net: nn.Module, logits: np.ndarray, truth: np.ndarray) -> float:
    """Scale the head so that scores match how often it is right."""

    def loss(log_t: float) -> float:
        scores = log_softmax(logits / np.exp(log_t), axis=1)
        return float(-scores[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    temperature = float(np.exp(found.x))
    scale_head(net, temperature)
    return temperature
