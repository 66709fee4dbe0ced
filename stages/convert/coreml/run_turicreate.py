"""Convert a model of Turi Create to a Core ML package, by its own export."""

from __future__ import annotations

from typing import Any, Dict, List  # noqa: UP035 - evaluated, on 3.8 too

from ..._shared.problem.problem import Problem, told
from ..._shared.turi import toolkits
from ..._shared.turi.asking import labels_of, of_classifier
from ..._shared.turi.setting import configure
from ..._shared.turi.stored import described, load
from .plain import describe, finish, halve_weights, refuse, rename
from .turicreate_items import recommender

Facts = Dict[str, Any]  # noqa: UP006
_STATE = "stateIn"


@told
def run(job: Any) -> None:
    """Load, export, name, describe, save."""
    params = job.params
    turicreate = configure(job)
    model = load(job.inputs["model"], turicreate)
    toolkit = toolkits.toolkit_of(model)
    _check(params, toolkit)
    job.progress(0, 2, "exporting")
    description = described(job.inputs["model"])
    if toolkit in toolkits.SIMILAR_ITEMS:
        spec = recommender(model, description)
    else:
        spec = _exported(job, model)
    description = description or _description(model, toolkit, spec)
    if toolkit == toolkits.ACTIVITY:
        _optional_state(spec)
    if params.precision == "float16":
        halve_weights(spec)
    names = _names(params, spec)
    rename(spec, names)
    outputs = [{**o, "name": names.get(o["name"], o["name"])} for o in description["outputs"]]
    describe(spec, params, {**description, "outputs": outputs})
    job.progress(1, 2, "saving")
    finish(job, spec, description.get("labels") or ())


def _check(params: Any, toolkit: str) -> None:
    if toolkit not in toolkits.EXPORTED:
        raise Problem(
            f"Turi Create has no Core ML export for {toolkit}",
            hint=f"it has one for {', '.join(toolkits.EXPORTED)}",
        )
    own = {"labels": None, "inputs": None, "output": "auto", "image": True}
    refuse(params, f"Turi Create's {toolkit}, which brings it itself", own)


def _exported(job: Any, model: Any) -> Any:
    from coremltools.proto import Model_pb2  # heavy, as Turi Create is

    file = job.scratch / "exported.mlmodel"
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.export_coreml(str(file))
    except RuntimeError as error:
        raise Problem(f"Turi Create's export: {str(error).splitlines()[0]}") from error
    spec = Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    return spec


def _optional_state(spec: Any) -> None:
    """A recording begins with nothing remembered: Core ML takes zeros for what is not given."""
    for feature in spec.description.input:
        if feature.name == _STATE:
            feature.type.isOptional = True


def _names(params: Any, spec: Any) -> Dict[str, str]:  # noqa: UP006
    """New names of a classifier's outputs, where the user says some."""
    label = spec.description.predictedFeatureName
    scores = spec.description.predictedProbabilitiesName
    if not label:
        return {}
    found = {}
    if params.label_output != "classLabel":
        found[label] = params.label_output
    if params.score_output is not None:
        found[scores] = params.score_output
    return found


def _description(model: Any, toolkit: str, spec: Any) -> Facts:
    """What can be told of a model that somebody else saved."""
    columns: List[Facts] = [  # noqa: UP006
        {
            "name": feature.name, "kind": "column", "layout": None, "shape": [],
            "dtype": "float64", "preprocessing": None,
        }
        for feature in spec.description.input
    ]  # fmt: skip
    label = spec.description.predictedFeatureName
    outputs = [{"name": f.name, "gives": "value"} for f in spec.description.output]
    return {
        "toolkit": toolkit,
        "task": toolkit,
        "inputs": columns,
        "outputs": of_classifier(label) if label else outputs,
        "labels": labels_of(model) if toolkits.classifies(toolkit) else None,
        "target": label or None,
    }
