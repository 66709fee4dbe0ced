"""Pipelines: models one after the other, whose features flow by name.

A model sees the pipeline's inputs and everything that models before it have made; a feature that
two models make is the later one's from there on. The names of values inside of a model begin
with its place, from zero: ``0/conv_1`` of a network, ``1/0/scores`` of a pipeline in a pipeline.

Source: Core ML specification, Model.proto (Pipeline, PipelineClassifier, PipelineRegressor,
isUpdatable).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .body import Body, OperatorUse, Options, Ran
from .body import open_body as open_any
from .description import Description, Feature, describe
from .errors import CoreMLError, InputError, ModelFileError
from .features import with_defaults

_MOST_NESTED = 32
_nested: ContextVar[int] = ContextVar("pipelines around", default=0)


@dataclass(frozen=True, slots=True)
class Stage:
    """One model of a pipeline.

    Attributes:
        place: Where it stands, for messages: "model 1 'classify', glmClassifier".
        sources: For each of its inputs what is described where the feature comes from.
    """

    place: str
    description: Description
    body: Body
    sources: Mapping[str, Feature]

    def shown(self) -> tuple[str, ...]:
        """Values that can be kept: those inside, and numbers and arrays that it gives."""
        inside = self.body.values()
        known = set(inside)
        given = (
            f.name
            for f in self.description.outputs
            if f.name not in known and f.kind in ("multi_array", "image", "double", "int64")
        )
        return (*inside, *given)


class PipelineBody:
    """Models that feed each other."""

    def __init__(
        self,
        description: Description,
        stages: Sequence[Stage],
        updatable: int | None,
        options: Options,
    ) -> None:
        self._description, self.stages, self._options = description, tuple(stages), options
        self.updatable = updatable  # the place of the model that learns, if one does
        self._classifier = _classifier(description, self.stages)

    @property
    def labels(self) -> tuple[str | int, ...]:
        """The labels of the model that makes the pipeline's prediction."""
        return () if self._classifier is None else self.stages[self._classifier].body.labels

    @property
    def scores_value(self) -> str | None:
        """The scores of the model that makes the pipeline's prediction."""
        if self._classifier is None:
            return None
        name = self.stages[self._classifier].body.scores_value
        return None if name is None else f"{self._classifier}/{name}"

    def values(self) -> tuple[str, ...]:
        """The values of each model, and the features that it gives."""
        return tuple(
            f"{place}/{name}" for place, stage in enumerate(self.stages) for name in stage.shown()
        )

    def operators(self) -> tuple[OperatorUse, ...]:
        """The operations of all models in order."""
        return tuple(
            _within(place, use)
            for place, stage in enumerate(self.stages)
            for use in stage.body.operators()
        )

    def make_state(self) -> Any:
        """The states of all models by their places, or None if none has one."""
        states = {place: stage.body.make_state() for place, stage in enumerate(self.stages)}
        return states if any(state is not None for state in states.values()) else None

    def run(self, values: Mapping[str, Any], keep: Collection[str], state: Any = None) -> Ran:
        """Run all models in order."""
        inner = self._kept_by_stage(keep)
        features = dict(values)
        sources = {f.name: f for f in self._description.inputs}
        kept: dict[str, Any] = {}
        for place, stage in enumerate(self.stages):
            ran = self._run_stage(place, features, inner.get(place, ()), state)
            kept.update({f"{place}/{name}": value for name, value in ran.kept.items()})
            features.update(ran.outputs)
            sources.update({f.name: f for f in stage.description.outputs})
        outputs = {
            f.name: self._fitted(features[f.name], sources[f.name], f)
            for f in self._description.outputs
            if f.name in features
        }
        return Ran(outputs, kept)

    def _run_stage(
        self, place: int, features: Mapping[str, Any], keep: Collection[str], state: Any
    ) -> Ran:
        stage = self.stages[place]
        given = {
            f.name: self._fitted(features[f.name], stage.sources[f.name], f)
            for f in stage.description.inputs
            if f.name in features
        }
        inside = set(stage.body.values())
        with _at(stage.place):
            ran = stage.body.run(
                with_defaults(stage.description, given),
                [name for name in keep if name in inside],
                None if state is None else state.get(place),
            )
        outside = {n: ran.outputs[n] for n in keep if n not in inside and n in ran.outputs}
        return Ran(ran.outputs, {**ran.kept, **outside})

    def _fitted(self, value: Any, source: Feature, target: Feature) -> Any:
        """A value as another model describes it: element type, order of colours."""
        if target.array is not None and isinstance(value, torch.Tensor):
            half = target.array.dtype == "float16" and not self._options.declared
            return value.to(torch.float32 if half else getattr(torch, target.array.dtype))
        colors = {f.image.color for f in (source, target) if f.image is not None}
        if colors == {"RGB", "BGR"}:
            return value.flip(1)
        if isinstance(value, torch.Tensor) and target.kind in ("int64", "double"):
            return value.item()
        return value

    def _kept_by_stage(self, keep: Collection[str]) -> dict[int, list[str]]:
        known = set(self.values()) if keep else set()
        if unknown := sorted(set(keep) - known):
            raise InputError(f"the pipeline makes no such value: {', '.join(unknown)}")
        inner: dict[int, list[str]] = {}
        for name in keep:
            place, _, rest = name.partition("/")
            inner.setdefault(int(place), []).append(rest)
        return inner


def open_body(spec: Any, folder: Path, options: Options) -> PipelineBody:
    """Open all models and check that their features connect.

    Raises:
        ModelFileError: A feature is made too late or not at all, the names or the updatable
            models are not as they must be, or pipelines nest absurdly.
        UnsupportedError: A model cannot be run; names which one.
    """
    kind = spec.WhichOneof("Type")
    message = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    if not message.models:
        raise ModelFileError("a pipeline without models", place=kind)
    description = describe(spec, options.function)
    names = _names(kind, message)
    updatable = _updatable(spec, message, names)
    known = {f.name: f for f in description.inputs}
    stages = []
    token = _nested.set(_nested.get() + 1)
    try:
        if _nested.get() > _MOST_NESTED:
            raise ModelFileError(
                "pipelines nested too deeply", place=kind, allowed=[f"{_MOST_NESTED} levels"]
            )
        for place in range(len(message.models)):
            stage = _stage(place, names[place], message.models, known, folder, options)
            stages.append(stage)
            known.update({f.name: f for f in stage.description.outputs})
    finally:
        _nested.reset(token)
    for feature in description.outputs:
        if feature.name not in known:
            raise ModelFileError(
                f"no model makes the output '{feature.name}'", place=kind, allowed=sorted(known)
            )
        _check_kinds(kind, known[feature.name], feature)
    return PipelineBody(description, stages, updatable, options)


def _stage(
    place: int,
    name: str,
    models: Sequence[Any],
    known: Mapping[str, Feature],
    folder: Path,
    options: Options,
) -> Stage:
    spec = models[place]
    where = _where(place, name, spec)
    with _at(where):
        body = open_any(spec, folder, replace(options, function=None))
        described = describe(spec, None, body.labels)
    for feature in described.inputs:
        if feature.name in known:
            _check_kinds(where, known[feature.name], feature)
        elif not feature.optional:
            raise _missing(where, feature.name, models[place:], place, known)
    sources = {f.name: known[f.name] for f in described.inputs if f.name in known}
    return Stage(where, described, body, sources)


def _missing(
    where: str, name: str, later: Sequence[Any], place: int, known: Mapping[str, Feature]
) -> ModelFileError:
    for distance, model in enumerate(later):
        if any(output.name == name for output in model.description.output):
            maker = "it makes it itself" if not distance else f"model {place + distance} makes it"
            return ModelFileError(
                f"its input '{name}' is made too late: {maker}",
                place=where,
                hint="models run in their order, so that no model may wait for a later one",
            )
    return ModelFileError(
        f"its input '{name}' is neither an input of the pipeline nor made by a model before it",
        place=where,
        allowed=sorted(known),
    )


def _where(place: int, name: str, spec: Any) -> str:
    return f"model {place} '{name}', {spec.WhichOneof('Type')}"


def _names(kind: str, message: Any) -> list[str]:
    names = list(message.names) or [f"model{place}" for place in range(len(message.models))]
    if len(names) != len(message.models) or len(set(names)) != len(names):
        raise ModelFileError(
            "the names of the models are not one different name for each",
            place=kind,
            got=f"{len(message.models)} models, names {', '.join(names)}",
        )
    return names


def _updatable(spec: Any, message: Any, names: Sequence[str]) -> int | None:
    """The place of the model that learns: the last one, of an updatable pipeline."""
    last = len(message.models) - 1
    for place, model in enumerate(message.models):
        if model.isUpdatable != (spec.isUpdatable and place == last):
            raise ModelFileError(
                "is not updatable, but must be"
                if place == last and spec.isUpdatable
                else "is updatable, which only the last model of an updatable pipeline may be",
                place=_where(place, names[place], model),
            )
    return last if spec.isUpdatable else None


def _check_kinds(where: str, source: Feature, target: Feature) -> None:
    if source.kind != target.kind:
        raise ModelFileError(
            f"the feature '{target.name}' is of another kind than where it is made",
            place=where,
            got=str(source),
            allowed=[str(target)],
        )


def _classifier(description: Description, stages: Sequence[Stage]) -> int | None:
    """The last model with labels; of several the one that makes what the pipeline predicts."""
    wanted = {description.predicted_feature, description.predicted_probabilities} - {None}
    with_labels = [place for place, stage in enumerate(stages) if stage.body.labels]
    making = [
        place
        for place in with_labels
        if wanted & {f.name for f in stages[place].description.outputs}
    ]
    found = making or with_labels
    return found[-1] if found else None


def _within(place: int, use: OperatorUse) -> OperatorUse:
    return replace(
        use,
        block=f"{place}/{use.block}" if use.block else str(place),
        inputs={key: tuple(f"{place}/{n}" for n in names) for key, names in use.inputs.items()},
        outputs=tuple((f"{place}/{name}", type_) for name, type_ in use.outputs),
    )


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Say of errors inside in which model they happened."""
    try:
        yield
    except CoreMLError as error:
        kind = where.rpartition(", ")[2]
        inside = (error.place or "").removeprefix(kind)  # it stands in `where` already
        place = f"{where}{inside if inside[:1] in ('', ' ', ',') else f', {error.place}'}"
        raise type(error)(
            error.message, place=place, got=error.got, allowed=error.allowed, hint=error.hint
        ) from error
