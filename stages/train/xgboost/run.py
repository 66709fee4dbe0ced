"""Train with XGBoost: read, judge, learn everything, save."""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import told
from ..._shared.tabular import figures
from ..._shared.tabular.data import REGRESSION, read
from ..._shared.tabular.formats import save_xgboost
from ..._shared.tabular.judging import check_watched
from ..._shared.tabular.story import describe, finish, supervised
from .learner import Learner, check_target, safe_names


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
    facts = {
        "booster": params.booster,
        "objective": learner.objective,
        "base_score": model.base_score,
    }
    description = describe(given, params.task, params.target, ["xgboost", "numpy"])
    description = {**description, **facts, "features": model.features}
    save_xgboost(model.booster, description, job.outputs["model"])
    if params.booster != "gblinear":
        trees = model.booster.num_boosted_rounds()
        job.metric("trees", trees)
        gains = model.booster.get_score(importance_type="total_gain")
        names = zip(model.features, safe_names(model.features), strict=True)
        rows = [(feature["name"], float(gains.get(name, 0.0))) for feature, name in names]
        figures.importance(job, rows)
        found["importance"] = [{"feature": name, "value": value} for name, value in rows]
    curve = learner.watched or model.curve
    job.plot("training", curve, x="round", y="loss", title="Training by round")
    finish(job, given, verdict.how, {**facts, "task": params.task, "seed": params.seed}, found)
