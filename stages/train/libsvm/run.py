"""Train with LIBSVM: read, judge, learn everything, save."""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import told
from ..._shared.tabular import figures
from ..._shared.tabular.anomalies import anomalous_rows
from ..._shared.tabular.data import ANOMALY, read
from ..._shared.tabular.formats import save_libsvm
from ..._shared.tabular.judging import judge
from ..._shared.tabular.story import describe, finish, supervised
from .learner import TASKS, Learner


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    task = TASKS.get(params.type, "classification")
    given = read(job, task)
    learner = Learner(params, given.columns, given.labels)
    if task == ANOMALY:
        verdict = judge(learner, given, params, task, job.progress)
        known = anomalous_rows(params, given, verdict.asked)
        found = figures.anomaly(job, verdict.answers, known)
    else:
        verdict, found = supervised(job, learner, given, task)
    model = verdict.model
    facts: dict[str, Any] = {"svm_type": params.type, "kernel": params.kernel}
    description = describe(given, task, params.target, ["libsvm-official", "numpy"], learner.gives)
    description = {
        **description,
        **facts,
        "probability": learner.gives,
        "features": model.features,
    }
    save_libsvm(model.machine, description, job.outputs["model"])
    job.metric("support_vectors", int(model.machine.get_nr_sv()))
    if params.search:
        job.metric("search_score", learner.best["score"])
        found["search"] = {"table": learner.table, **learner.best}
        job.log(f"chosen: {learner.best['params']}")
    finish(job, given, verdict.how, {**facts, "task": task, "seed": params.seed}, found)
