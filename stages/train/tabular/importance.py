"""What a column is worth: how much worse the answers are when its values are shuffled.

Source: Breiman, Random Forests, Machine Learning 45, 2001, section 10.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._shared.sequence_training.judge import Learner, Verdict
from ..._shared.sequence_training.rows import Rows
from .columns import Scheme

_LEAST = 1e-12


def importance(learner: Learner, verdict: Verdict, found: Scheme) -> list[dict[str, Any]]:
    """By column, the most useful first; of the network that was judged last, on what it judged."""
    rows = verdict.rows
    if verdict.folds:  # the last network did not learn the last fold
        rows = rows.take(verdict.folds[-1])
    before = _loss(learner.answers(verdict.learnt, rows), rows.truth)
    random = np.random.default_rng(learner.params.seed)
    told = []
    for place, name in enumerate(found.columns):
        order = random.permutation(len(rows))
        mixed = tuple(a[order] if i == place else a for i, a in enumerate(rows.inputs))
        shuffled = Rows(mixed, rows.truth, rows.groups, rows.names)
        after = _loss(learner.answers(verdict.learnt, shuffled), rows.truth)
        told.append({"column": name, "loss": after - before})
    return sorted(told, key=lambda row: (-row["loss"], row["column"]))


def _loss(answers: np.ndarray, truth: np.ndarray) -> float:
    """Log-loss of probabilities, mean square error of values."""
    if truth.dtype.kind == "i":
        given = answers[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(given, _LEAST)).mean())
    return float(((answers[:, 0] - truth) ** 2).mean())
