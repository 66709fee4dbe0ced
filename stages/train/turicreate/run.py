"""Train a toolkit of Turi Create: read, judge, learn everything, save."""

from __future__ import annotations

import json
from typing import Any

from ..._shared.problem.problem import Problem, told
from ..._shared.turi import toolkits
from ..._shared.turi.setting import configure
from ..._shared.turi.stored import parts, save
from .drawings import Drawings
from .interactions import Interactions
from .pretrained import Pretrained, check_weights
from .recordings import Recordings
from .tables import Tables
from .texts import Texts

_WORK = {
    **dict.fromkeys(toolkits.RECOMMENDERS, Interactions),
    **dict.fromkeys(toolkits.PRETRAINED, Pretrained),
    toolkits.TEXT: Texts,
    "topic-model": Texts,
    toolkits.ACTIVITY: Recordings,
    toolkits.DRAWING: Drawings,
}


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    name = params.toolkit["name"]
    turicreate = configure(job, params.seed, job.inputs.get("weights"))
    check_weights(job, name, turicreate)
    work = _WORK.get(name, Tables)(job, turicreate)
    learn, ask, how = _parts(job, work)
    job.progress(0, 3, f"learning {len(learn)}")
    model = work.learn(learn)
    job.progress(1, 3, "judging")
    found = work.judge(model, ask) if ask is not None or not work.judged else {}
    rows = len(learn)
    if ask is not None and ask is not work.test and params.refit:
        job.progress(2, 3, f"learning all {len(work.all)}")
        model, rows = work.learn(work.all), len(work.all)
    options = {k: v for k, v in params.toolkit.items() if k != "name"}
    description = {**work.describe(model), "options": options, "libraries": ["turicreate 6.4.1"]}
    save(model, job.outputs["model"], description, turicreate)
    work.samples(ask)
    job.metric("rows", rows)
    job.metric("size_mb", parts(job.outputs["model"]) / 1e6)
    facts = {"toolkit": name, "options": options, "seed": params.seed, "rows": rows, "how": how}
    text = json.dumps({**facts, **found}, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.progress(3, 3, "learnt")


def _parts(job: Any, work: Any) -> Any:
    """What is learnt first, what is asked, and what the figures are called.

    Raises:
        Problem: what is asked for and what is given do not go together.
    """
    how = job.params.evaluate
    if how == "auto":
        how = "test" if work.test is not None else "holdout" if work.judged else "none"
    if how == "test" and work.test is None:
        raise Problem("evaluate: test, but the input 'test' is missing")
    if how != "test" and work.test is not None:
        raise Problem(f"evaluate: {how}, but the input 'test' is not used")
    if how == "none":
        return work.all, None, "nothing was held out"
    if not work.judged:
        raise Problem(
            f"evaluate: {how}, but {job.params.toolkit['name']} has nothing to be right about"
        )
    if how == "test":
        return work.all, work.test, "the test input"
    learn, ask = work.split(job.params.holdout, job.params.seed)
    return learn, ask, f"{len(ask)} held out"
