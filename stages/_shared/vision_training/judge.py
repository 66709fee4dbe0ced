"""How good the learnt is, on pictures that were not learnt; of any framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..problem.problem import Problem
from . import parts
from .pictures import Pictures, check_classes


class Learnt(Protocol):
    """The outcome of one training."""

    epochs: int
    facts: dict[str, Any]
    curve: list[dict[str, float]]


class Learner(Protocol):
    """Knows the data and the parameters; learns any part of the data."""

    params: Any
    classes: int
    frozen: bool  # a head on features that stay as they are: quick enough for k folds

    def learn(
        self,
        data: Pictures,
        chosen: np.ndarray,
        watch: Pictures | None = None,
        epochs: int | None = None,
    ) -> Any:
        """Train on some of the pictures."""

    def ask(self, learnt: Any, data: Pictures, chosen: np.ndarray) -> np.ndarray:
        """Probabilities of some of the pictures, shape [n, K]."""


@dataclass
class Verdict:
    """Predictions for pictures that were asked, and what learnt them."""

    how: str  # "5 folds", "a fifth held out", "the test input"
    items: list[Any]
    truth: np.ndarray
    probabilities: np.ndarray
    learnt: Learnt  # the last one
    epochs: int  # that the trainings took, for a last one on everything
    fold_accuracy: list[float]


def way(params: Any, has_test: bool, frozen: bool) -> str:
    """Which evaluation ``auto`` means.

    Raises:
        Problem: a test input is asked for and missing, or not used.
    """
    how = params.evaluate if params.evaluate != "auto" else _auto(params, has_test, frozen)
    if (how == "test") != has_test:
        what = "is not used" if has_test else "is missing"
        raise Problem(f"evaluate: {params.evaluate}, but the input 'test' {what}")
    return how


def _auto(params: Any, has_test: bool, frozen: bool) -> str:
    if has_test:
        return "test"
    return "kfold" if frozen and params.refit else "holdout"


def judge(
    learner: Learner,
    data: Pictures,
    test: Pictures | None,
    watch: Pictures | None,
    labels: tuple[str, ...],
) -> Verdict:
    """Learn some, ask the others.

    Raises:
        Problem: a class has too few pictures for it.
    """
    params = learner.params
    how = way(params, test is not None, learner.frozen)
    if how == "test" and test is not None:
        check_classes(data, labels, _least(params, watch, 1), "training")
        everything = np.arange(len(data.truth))
        learnt = learner.learn(data, everything, watch)
        return _verdict("the test input", learner, learnt, test, np.arange(len(test.truth)))
    if how == "holdout":
        check_classes(data, labels, _least(params, watch, 2), "a held-out part")
        learn, ask = parts.holdout(data.truth, data.content, params.holdout, params.seed)
        learnt = learner.learn(data, learn, watch)
        return _verdict(f"{len(ask)} held out", learner, learnt, data, ask)
    least = max(params.folds, _least(params, watch, 2))
    check_classes(data, labels, least, f"{params.folds}-fold evaluation")
    return _folds(learner, data, watch)


def last(learner: Learner, data: Pictures, watch: Pictures | None, verdict: Verdict) -> Any:
    """The network to keep: learnt once more on everything, where that is asked for."""
    if verdict.how == "the test input" or not learner.params.refit:
        return verdict.learnt
    everything = np.arange(len(data.truth))
    if watch is not None:
        return learner.learn(data, everything, watch)
    # Without pictures to watch it takes as long as it took when it was judged.
    return learner.learn(data, everything, epochs=verdict.epochs or None)


def _least(params: Any, watch: Pictures | None, least: int) -> int:
    stopping = params.patience and watch is None
    return least + 1 if stopping else least


def _verdict(
    how: str, learner: Learner, learnt: Learnt, data: Pictures, ask: np.ndarray
) -> Verdict:
    return Verdict(
        how=how,
        items=[data.items[i] for i in ask],
        truth=data.truth[ask],
        probabilities=learner.ask(learnt, data, ask),
        learnt=learnt,
        epochs=learnt.epochs,
        fold_accuracy=[],
    )


def _folds(learner: Learner, data: Pictures, watch: Pictures | None) -> Verdict:
    params = learner.params
    probabilities = np.zeros((len(data.truth), learner.classes))
    accuracy, epochs = [], []
    for learn, ask in parts.folds(data.truth, data.content, params.folds, params.seed):
        learnt = learner.learn(data, learn, watch)
        probabilities[ask] = learner.ask(learnt, data, ask)
        accuracy.append(float((probabilities[ask].argmax(axis=1) == data.truth[ask]).mean()))
        epochs.append(learnt.epochs)
    return Verdict(
        how=f"{params.folds} folds",
        items=data.items,
        truth=data.truth,
        probabilities=probabilities,
        learnt=learnt,
        epochs=round(float(np.median(epochs))),
        fold_accuracy=accuracy,
    )
