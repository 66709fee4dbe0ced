"""Learn as an app would, and judge before and after."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import coremltools as ct

from mlbuild.coreml import CoreMLError, load

from ..._shared.coreml_package.canonical import save
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .shown import Shown, read

_NAMES = {
    "epochs": "epochs",
    "learning_rate": "learningRate",
    "mini_batch": "miniBatchSize",
    "shuffle": "shuffle",
}


@told
def run(job: Any) -> None:
    """Read, judge, learn, judge, save."""
    configure(job, job.params.seed)
    try:
        _run(job)
    except CoreMLError as error:
        raise Problem(f"{job.inputs['model'].name}: {error}") from error


def _run(job: Any) -> None:
    model = load(job.inputs["model"])
    if not model.description.training:
        raise Problem(
            f"{job.inputs['model'].name} is not updatable",
            hint="make it with convert/updatable",
        )
    shown = read(job.inputs["samples"], model, job.params, job.params.limit)
    judged = read(job.inputs["test"], model, job.params) if job.inputs.get("test") else shown
    before = _right(model, judged, shown.truth)
    learned = model.update(
        shown.samples, parameters=_parameters(model, job.params), progress=_progress(job)
    )
    job.metric("samples", len(shown.samples))
    with tempfile.TemporaryDirectory(prefix="on-device-") as folder:
        file = Path(folder) / "learned.mlmodel"
        learned.save(file)
        after = _right(load(file), judged, shown.truth)
        save(ct.models.MLModel(str(file), skip_model_load=True), job.outputs["model"])
    if learned.epoch_losses:
        job.metric("loss_first", learned.epoch_losses[0])
        job.metric("loss_last", learned.epoch_losses[-1])
        rows = [{"epoch": i + 1, "loss": loss} for i, loss in enumerate(learned.epoch_losses)]
        job.plot("loss", rows, x="epoch", y="loss")
    if before is None or after is None:
        return
    count = len(judged.samples)
    job.metric("accuracy_before", before / count, n=count)
    job.metric("accuracy_after", after / count, n=count)
    job.metric("gain", (after - before) / count)


def _parameters(model: Any, params: Any) -> dict[str, Any]:
    found = {
        theirs: getattr(params, ours)
        for ours, theirs in _NAMES.items()
        if getattr(params, ours) is not None
    }
    if len(model.description.training) and _is_network(model):
        found["seed"] = params.seed
    return found


def _is_network(model: Any) -> bool:
    """Neighbours have no parameters."""
    spec = model._source.spec
    while spec.WhichOneof("Type") in ("pipeline", "pipelineClassifier", "pipelineRegressor"):
        kind = spec.WhichOneof("Type")
        inner = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
        spec = inner.models[-1]
    return bool(spec.WhichOneof("Type").startswith("neuralNetwork"))


def _progress(job: Any) -> Any:
    def tell(done: int, total: int, loss: float) -> None:
        job.progress(done, total, f"loss {loss:.3f}")

    return tell


def _right(model: Any, shown: Shown, truth: str) -> int | None:
    """How many are named rightly; None of a model that gives no label."""
    label = model.description.predicted_feature
    if not label:
        return None
    right = 0
    for sample in shown.samples:
        inputs: Mapping[str, Any] = {k: v for k, v in sample.items() if k != truth}
        right += model.predict(inputs)[label] == sample[truth]
    return right
