"""Today's model against the released one, on the same samples."""

from __future__ import annotations

from typing import Any

from ..._shared.coreml_package.canonical import size_of
from ..._shared.digests.tree import model_sha256
from ..._shared.parity.asking import ask
from ..._shared.parity.samples import Reader
from ..._shared.problem.problem import told
from ..._shared.torch_setup.configure import configure
from .asking import Models
from .judging import Answered
from .measuring import How, measure
from .truth import samples_of
from .write import write


@told
def run(job: Any) -> None:
    """Ask both models, compare, tell how sure the difference is."""
    configure(job)
    params = job.params
    models = Models(job)
    digests = {role: model_sha256(job.inputs[role]) for role in ("model", "released")}
    given = samples_of(job, models)
    reader = Reader(skip=params.unreadable == "skip")
    truth_of = dict(zip(map(id, given.samples), given.truth or (), strict=False))
    asked = ask(job, given.samples, reader, models.ask)
    truth = None if given.truth is None else [truth_of[id(a.sample)] for a in asked]
    answered = Answered(asked, models.labels, models.answer, truth)
    same = digests["model"] == digests["released"]
    how = How(params.interval, params.resamples, params.seed, params.noise, same)
    metrics = {**measure(answered, how), **_sizes(job)}
    record(job, metrics)
    write(job, answered, metrics, digests, reader.unreadable)


def record(job: Any, metrics: dict[str, Any]) -> None:
    """Numbers, shares, and numbers with an interval, each as metrics hold them."""
    for name, value in metrics.items():
        if name in ("drop", "rise"):
            interval = (value["low"], value["high"])
            job.metric(name, value["value"], n=value["n"], interval=interval)
        elif isinstance(value, dict):
            job.metric(name, value["value"], n=value["n"])
        else:
            job.metric(name, value)


def _sizes(job: Any) -> dict[str, float]:
    today, released = (size_of(job.inputs[role]) / 1e6 for role in ("model", "released"))
    return {"size_mb": today, "released_size_mb": released, "size_ratio": today / released}
