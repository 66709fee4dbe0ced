"""How good the learnt is, on rows that were not learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)

from ..problem.problem import Problem
from .data import CLASSIFICATION, REGRESSION, Data, Given

Parts = tuple[np.ndarray, np.ndarray]  # rows to learn, rows to ask


@dataclass(frozen=True)
class Answers:
    """What a model says of rows."""

    said: np.ndarray  # indices of labels, numbers, clusters, or vectors [N, K]
    scores: np.ndarray | None = None  # probabilities, shape [N, K], rows sum to 1
    decision: np.ndarray | None = None  # shape [N] of two labels or of anomalies, else [N, K]


class Learner(Protocol):
    """What a library brings."""

    def learn(self, data: Data, watch: Data | None, rounds: int | None = None) -> Any:
        """A model; ``rounds`` where early stopping has already told how long to learn."""

    def ask(self, model: Any, data: Data) -> Answers:
        """What it says."""

    def rounds(self, model: Any) -> int | None:
        """How long it learnt, where that was found out by early stopping."""


@dataclass(frozen=True)
class Verdict:
    """The answers that figures are made of, and the model for all rows."""

    how: str  # "5 folds", "30 rows held out", "the test table", "the training rows"
    asked: Data
    answers: Answers
    folds: list[np.ndarray]  # which rows of ``asked`` each fold had, empty unless there are folds
    model: Any


def way(params: Any, given: Given, task: str) -> str:
    """Which evaluation ``auto`` means.

    Raises:
        Problem: what is asked for and what is given do not go together.
    """
    split = task in (CLASSIFICATION, REGRESSION)
    how = params.evaluate
    if how == "auto":
        how = "test" if given.test is not None else "kfold" if split else "training"
    if (how == "test") != (given.test is not None):
        what = "is missing" if given.test is None else "is not used"
        raise Problem(f"evaluate: {params.evaluate}, but the input 'test' {what}")
    if how in ("kfold", "holdout") and not split:
        raise Problem(
            f"evaluate: {how} is for classification and regression, this is {task}",
            hint="evaluate: training, or give a test input",
        )
    return how


def judge(
    learner: Learner,
    given: Given,
    params: Any,
    task: str,
    progress: Callable[[float, float | None, str], None],
) -> Verdict:
    """Learn some rows and ask the others; then learn all.

    Raises:
        Problem: too few rows for it.
    """
    how, train, watch = way(params, given, task), given.train, given.validation
    if how in ("test", "training"):
        progress(0, 1, "learning")
        model = learner.learn(train, watch)
        long = learner.rounds(model) if watch is None else None
        if long is not None:  # rows were kept aside to find that out: now all are learnt
            model = learner.learn(train, None, long)
        asked = given.test if given.test is not None else train
        told = "the test table" if how == "test" else "the training rows"
        progress(1, 1, "learnt")
        return Verdict(told, asked, learner.ask(model, asked), [], model)
    splits = list(_splits(train, params, task, how, given.labels))
    answers, rounds = [], []
    for done, (learn, ask) in enumerate(splits):
        progress(done, len(splits) + 1, f"part {done + 1} of {len(splits)}")
        model = learner.learn(train.take(learn), watch)
        answers.append(learner.ask(model, train.take(ask)))
        rounds.append(learner.rounds(model))
    progress(len(splits), len(splits) + 1, "learning all rows")
    found = [r for r in rounds if r is not None]
    # Without rows to watch it learns as long as it did when it was judged.
    long = round(float(np.median(found))) if found and watch is None else None
    model = learner.learn(train, watch, long)
    progress(1, 1, "learnt")
    rows = np.concatenate([ask for _, ask in splits])
    told = f"{len(splits)} folds" if how == "kfold" else f"{len(rows)} rows held out"
    ends = np.cumsum([0, *(len(ask) for _, ask in splits)])
    places = [np.arange(a, b) for a, b in pairwise(ends)]
    folds = places if how == "kfold" else []
    return Verdict(told, train.take(rows), _joined(answers), folds, model)


def split_off(data: Data, share: float, seed: int, task: str) -> Parts:
    """Rows to learn and rows to watch, stratified by label."""
    stratified = task == CLASSIFICATION and _smallest(data.truth) > 1
    if data.group is not None:
        chooser: Any = GroupShuffleSplit(1, test_size=share, random_state=seed)
    elif stratified:
        least = len(np.unique(data.truth))
        size = min(max(round(share * len(data)), least), len(data) - least)
        chooser = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    else:
        chooser = ShuffleSplit(1, test_size=share, random_state=seed)
    try:
        learn, ask = next(chooser.split(np.zeros(len(data)), data.truth, data.group))
    except ValueError as error:
        raise Problem(f"{len(data)} rows cannot be split in two: {error}") from error
    return np.sort(learn), np.sort(ask)


def folds_of(data: Data, count: int, seed: int, task: str) -> Iterator[Parts]:
    """Rows to learn and rows to ask, ``count`` times; labels stratified, groups kept together."""
    classes = task == CLASSIFICATION
    if data.group is not None:
        chooser: Any = (
            StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            if classes
            else GroupKFold(count)
        )
    else:
        kind = StratifiedKFold if classes else KFold
        chooser = kind(count, shuffle=True, random_state=seed)
    yield from chooser.split(np.zeros(len(data)), data.truth, data.group)


def check_folds(data: Data, count: int, task: str, labels: list[Any] | None, what: str) -> None:
    """Refuse more folds than there are rows, groups, or rows of a label."""
    if data.group is not None:
        have = len(set(data.group.tolist()))
        if have < count:
            raise Problem(f"{count} {what} need as many groups, there are {have}")
        return
    if task != CLASSIFICATION:
        if len(data) < count:
            raise Problem(f"{count} {what} need as many rows, there are {len(data)}")
        return
    sizes = np.bincount(data.truth, minlength=len(labels or ()))
    least = int(sizes.argmin())
    if sizes[least] < count:
        name = labels[least] if labels else least
        raise Problem(
            f"label '{name}' has {sizes[least]} rows, too few for {count} {what}",
            hint=f"choose {max(sizes[least], 2)} {what}, add rows, or leave that label out",
        )


def _splits(
    data: Data, params: Any, task: str, how: str, labels: list[Any] | None
) -> Iterator[Parts]:
    if how == "holdout":
        check_folds(data, 2, task, labels, "parts")
        yield split_off(data, params.holdout, params.seed, task)
        return
    check_folds(data, params.folds, task, labels, "folds")
    yield from folds_of(data, params.folds, params.seed, task)


def _smallest(truth: np.ndarray | None) -> int:
    return 0 if truth is None else int(np.unique(truth, return_counts=True)[1].min())


def _joined(answers: list[Answers]) -> Answers:
    def all_of(name: str) -> np.ndarray | None:
        parts = [getattr(answer, name) for answer in answers]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    said = all_of("said")
    assert said is not None
    return Answers(said, all_of("scores"), all_of("decision"))


def check_watched(params: Any, given: Given) -> None:
    """Refuse a ``validation`` input that nothing would watch."""
    if given.validation is not None and not params.early_stopping:
        raise Problem(
            "the input 'validation' is not used", hint="it is for early_stopping: give its rounds"
        )
