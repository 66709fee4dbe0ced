"""Train an estimator of scikit-learn: read, judge, learn everything, save."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from ..._shared.problem.problem import told
from ..._shared.tabular import figures
from ..._shared.tabular.anomalies import anomalous_rows
from ..._shared.tabular.data import ANOMALY, CLASSIFICATION, CLUSTERING, REGRESSION, Given, read
from ..._shared.tabular.judging import Verdict, judge
from ..._shared.tabular.story import describe, finish, supervised
from .assembly import assemble
from .catalogue import build, task_of
from .learner import Learner, before_last, importances, last_of
from .searching import search_of


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    np.random.seed(params.seed)
    alone = build(params.estimator, params.params, "estimator")
    task = task_of(alone, params.task, params.estimator)
    given = read(job, task)
    estimator = assemble(params, given.columns)
    learner = Learner(estimator, params.estimator, task, given.labels, job.threads, None)
    learner.search = search_of(params, estimator, task, given.labels, learner.truth)
    with threadpool_limits(job.threads):
        if task in (CLASSIFICATION, REGRESSION):
            verdict, found = supervised(job, learner, given, task)
        else:
            verdict, found = _unsupervised(job, learner, given, task)
        _record(job, learner, verdict, given, found)
    description = describe(
        given, task, params.target, ["scikit-learn", "numpy"], hasattr(alone, "predict_proba")
    )
    joblib.dump({**description, "estimator": verdict.model}, job.outputs["model"])
    facts = {"estimator": params.estimator, "task": task, "seed": params.seed}
    finish(job, given, verdict.how, facts, found)


def _unsupervised(
    job: Any, learner: Learner, given: Given, task: str
) -> tuple[Verdict, dict[str, Any]]:
    params = job.params
    verdict = judge(learner, given, params, task, job.progress)
    asked, model = verdict.asked, verdict.model
    if task == CLUSTERING:
        numbers = np.asarray(before_last(model, asked), dtype=np.float64)
        found = figures.clustering(job, verdict.answers, numbers, asked.truth, params.seed)
        if hasattr(last_of(model), "score_samples"):
            likely = last_of(model).score_samples(before_last(model, asked))
            job.metric("log_likelihood", float(np.mean(likely)))
        return verdict, found
    if task == ANOMALY:
        return verdict, figures.anomaly(job, verdict.answers, anomalous_rows(params, given, asked))
    vectors = verdict.answers.said
    job.metric("components", vectors.shape[1])
    held = getattr(last_of(model), "explained_variance_ratio_", None)
    if held is not None:
        held = np.asarray(held, dtype=np.float64)
        job.metric("explained_variance", float(held.sum()))
        rows = [{"component": n, "share": float(s)} for n, s in enumerate(held.cumsum(), start=1)]
        title = "Variance held by so many components"
        job.plot("explained_variance", rows, x="component", y="share", title=title)
    lost = _lost(model, asked)
    if lost is not None:
        job.metric("reconstruction_error", lost)
    _plane(job, vectors, asked.truth, given.labels)
    return verdict, {}


def _lost(model: Any, asked: Any) -> float | None:
    """Root mean square of rows less what comes back from their components."""
    last = last_of(model)
    if not hasattr(last, "inverse_transform"):
        return None
    before = before_last(model, asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of columns that the way back does not know
        try:
            back = last.inverse_transform(last.transform(before))
        except (ValueError, TypeError, AttributeError):
            return None  # NMF of other solvers, kernels without a way back
    try:
        off = np.asarray(back, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    except (ValueError, TypeError):
        return None  # text
    return float(np.sqrt((off * off).mean()))


def _plane(job: Any, vectors: np.ndarray, truth: Any, labels: list[Any] | None) -> None:
    """The first two components of at most 1,000 rows."""
    if vectors.shape[1] < 2 or not np.isfinite(vectors).all():
        return
    every = np.linspace(0, len(vectors) - 1, min(len(vectors), 1000)).round().astype(int)
    rows = [
        {
            "first": float(vectors[i, 0]),
            "label": "" if truth is None or labels is None else str(labels[truth[i]]),
            "second": float(vectors[i, 1]),
        }
        for i in np.unique(every)
    ]
    title = "The first two components"
    job.plot("components", rows, x="first", y="second", template="scatter", title=title)


def _record(
    job: Any, learner: Learner, verdict: Verdict, given: Given, found: dict[str, Any]
) -> None:
    rows = importances(verdict.model, [column["name"] for column in given.columns])
    if rows:
        figures.importance(job, rows)
        found["importance"] = [{"feature": name, "value": value} for name, value in rows]
    search = learner.search
    if search is not None:
        job.metric("search_score", search.best["score"])
        found["search"] = {"scoring": search.scoring, "table": search.table, **search.best}
        job.log(f"chosen by {search.scoring}: {search.best['params']}")
    for text in learner.warned:
        job.log(f"scikit-learn: {text}")
    found["warnings"] = list(learner.warned)
