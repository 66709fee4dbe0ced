"""Train with LightGBM: read, judge, learn everything, save."""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import told
from ..._shared.tabular import figures
from ..._shared.tabular.data import REGRESSION, read
from ..._shared.tabular.formats import save_lightgbm
from ..._shared.tabular.judging import check_watched
from ..._shared.tabular.story import describe, finish, supervised
from .learner import Learner, check_target


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    given = read(job, params.task)
    check_watched(params, given)
    learner = Learner(params, given.columns, given.labels, job.threads)
    if params.task == REGRESSION:
        check_target(learner.objective, given.train, params.target)
    verdict, found = supervised(job, learner, given, params.task)
    model = verdict.model
    facts = {"boosting": params.boosting, "objective": learner.objective}
    description = describe(given, params.task, params.target, ["lightgbm", "numpy"])
    description = {**description, **facts, "features": model.features}
    save_lightgbm(model.booster, description, job.outputs["model"], model.used)
    job.metric("trees", model.used)
    gains = model.booster.feature_importance("gain", model.used)
    rows = [(f["name"], float(g)) for f, g in zip(model.features, gains, strict=True)]
    figures.importance(job, rows)
    found["importance"] = [{"feature": name, "value": value} for name, value in rows]
    curve = learner.watched or model.curve
    job.plot("training", curve, x="round", y="loss", title="Training by round")
    finish(job, given, verdict.how, {**facts, "task": params.task, "seed": params.seed}, found)
