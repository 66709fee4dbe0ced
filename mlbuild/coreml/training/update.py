"""From a model and samples to the model that has learnt from them.

Source: Core ML specification, Model.proto (isUpdatable, ModelDescription.trainingInput) and
Pipeline.proto: of a pipeline only the last model learns, from what the others make of a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..body import Options, open_body
from ..description import Feature, describe
from ..errors import CoreMLError, InputError, ModelFileError
from ..features import encode
from .loop import Progress
from .neighbours import learn_neighbours
from .networks import learn_network

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


@dataclass(frozen=True, slots=True)
class Learned:
    """A specification that has learnt, and the mean loss of each mini-batch by epoch."""

    spec: Any
    losses: list[list[float]]


def learn(
    spec: Any,
    folder: Path,
    options: Options,
    batches: Iterable[Any],
    parameters: Mapping[str, Any],
    progress: Progress | None,
) -> Learned:
    """Train a copy of an updatable specification; arguments as of ``Model.update``."""
    described = describe(spec)
    if not described.training:
        raise ModelFileError("the model does not say what it learns from (trainingInput)")
    samples = [
        _encoded(number, sample, described.training) for number, sample in enumerate(_flat(batches))
    ]
    if not samples:
        raise InputError("there is nothing to train on")
    trained = type(spec)()
    trained.CopyFrom(spec)
    return Learned(trained, _learn(trained, folder, options, samples, parameters, progress))


def _learn(
    spec: Any,
    folder: Path,
    options: Options,
    samples: Sequence[dict[str, Any]],
    parameters: Mapping[str, Any],
    progress: Progress | None,
) -> list[list[float]]:
    """Change the specification itself; the samples are in neutral form."""
    kind = spec.WhichOneof("Type")
    if kind in _NETWORKS:
        return learn_network(spec, options, samples, parameters, progress)
    if kind == "kNearestNeighborsClassifier":
        learn_neighbours(spec, samples, parameters)
        return []
    if kind not in _PIPELINES:
        raise ModelFileError("a model of this type cannot be updatable", got=kind)
    models = (spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline).models
    if not models or not models[-1].isUpdatable:
        raise ModelFileError("the last model of an updatable pipeline must be updatable")
    for number, model in enumerate(models[:-1]):
        if model.isUpdatable:
            raise ModelFileError("only the last model can be updatable", place=f"model {number}")
        samples = _passed(model, folder, options, samples)
    wanted = [f.name for f in describe(models[-1]).training]
    try:
        given = [{name: sample[name] for name in wanted} for sample in samples]
    except KeyError as error:
        raise ModelFileError(
            "no model makes what the last one learns from", got=str(error.args[0])
        ) from error
    return _learn(models[-1], folder, options, given, parameters, progress)


def _passed(
    spec: Any, folder: Path, options: Options, samples: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What a model that does not learn makes of each sample, added to it."""
    body = open_body(spec, folder, options)
    names = [f.name for f in describe(spec).inputs]
    return [
        {**sample, **body.run({n: sample[n] for n in names if n in sample}, ()).outputs}
        for sample in samples
    ]


def _flat(batches: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for item in batches:
        if isinstance(item, Mapping):
            yield item
        else:
            yield from item


def _encoded(number: int, sample: Mapping[str, Any], features: Sequence[Feature]) -> dict[str, Any]:
    known = [feature.name for feature in features]
    try:
        if extra := sorted(set(sample) - set(known)):
            raise InputError(f"the model learns from no such value: {', '.join(extra)}",
                             allowed=known)  # fmt: skip
        return {f.name: encode(f, _given(f, sample)) for f in features}
    except CoreMLError as error:
        raise InputError(f"sample {number}: {error}") from error


def _given(feature: Feature, sample: Mapping[str, Any]) -> Any:
    if sample.get(feature.name) is None:
        raise InputError(f"an input is missing: {feature.name}", allowed=(str(feature),))
    return sample[feature.name]
