"""What can be converted, told apart by content: three formats become one description."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import (
    Description,
    Input,
    Output,
    State,
    TorchModel,
    is_torch_model,
    load,
)
from .pixels import Pixels, fold_pixels

DETECTOR = "object-detector"
TABULAR = "tabular"


@dataclass
class Feature:
    """One input of the network to convert. ``pixels`` is set for images."""

    name: str
    shape: list[Any] | None  # sizes, or [low, high]; None: the program knows
    dtype: str = "float32"
    pixels: Pixels | None = None
    help: str = ""
    shapes: list[list[int]] | None = None  # to choose from, in place of one


@dataclass
class Source:
    """A network on its way: exactly what the converter needs to know."""

    program: Any  # nn.Module, ScriptModule or ExportedProgram
    form: str  # "module", "script" or "exported"
    features: list[Feature]
    labels: tuple[str, ...] | None
    gives: str | None  # "logits", "probabilities", None: not known
    metadata: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()  # where the model names several, or one that is no score
    task: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    states: tuple[State, ...] = ()  # buffers that are kept between calls
    functions: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    columns: tuple[Input, ...] = ()  # of a model of tables

    def helps(self) -> dict[str, str]:
        """A line for people on each input that has one."""
        return {f.name: f.help for f in self.features if f.help}

    def function(self, shapes: dict[str, list[int]]) -> Source:
        """One entry of several: the same network with shapes of its own."""
        features = [replace(f, shape=list(shapes.get(f.name, f.shape))) for f in self.features]
        return replace(self, features=features, functions={})


def read(job: Any) -> Source:
    """The job's model, whatever its format.

    Raises:
        Problem: the format is unknown, damaged, or lacks a description that must then be given.
    """
    path = job.inputs["model"]
    if is_torch_model(path):
        return _torch_model(path, job.params)
    form = _form(path)
    if form == "exported" and not job.trust("model"):
        raise Problem(
            f"{path.name} is an exported program, which may hold pickled objects",
            hint="if you trust its origin, write the input as {from: ..., trust: true}",
        )
    features = _features(job.params, path.name)
    labels = tuple(job.params.labels) if job.params.labels else None
    program = _load(path, form)
    return Source(program, form, features, labels, gives=None)


def returned(source: Source, params: Any) -> str:
    """What the model returns: "classifier", "probabilities", "logits", or its own "outputs".

    Raises:
        Problem: it cannot return what was asked for.
    """
    if source.outputs:
        if params.output != "auto":
            raise Problem(f"output: {params.output}, but the model is no classifier: {source.task}")
        return "outputs"
    if params.output == "classifier" and not source.labels:
        raise Problem("output: classifier needs labels", hint="give labels: [...]")
    if params.output != "auto":
        return params.output
    return "classifier" if source.labels else "logits"


def _form(path: Path) -> str:
    if path.is_dir():
        raise Problem(f"{path.name} is a folder without model.json: not a torch model")
    if not zipfile.is_zipfile(path):
        raise Problem(
            f"{path.name} is neither a torch model, TorchScript nor an exported program",
            hint="write it with torch.jit.save or torch.export.save",
        )
    with zipfile.ZipFile(path) as archive:
        inside = {name.partition("/")[2] for name in archive.namelist()} | set(archive.namelist())
    if "archive_format" in inside or "serialized_exported_program.json" in inside:
        return "exported"
    if "constants.pkl" in inside:
        return "script"
    raise Problem(
        f"{path.name} is a pickled checkpoint: it names no architecture and may run code",
        hint="write it with torch.jit.save or torch.export.save",
    )


def _torch_model(path: Path, params: Any) -> Source:
    given = [name for name in ("labels", "inputs", "output_names") if getattr(params, name)]
    if given:
        raise Problem(f"{given[0]}: this model describes itself", hint=f"leave out {given[0]}")
    model = load(path)
    preprocessing = model.description.preprocessing
    if preprocessing is None:
        return _of_arrays(model)
    net: nn.Module = model.net
    pixels = None
    metadata = {"mlbuild.preprocessing": preprocessing.to_json()}
    if params.image:
        net, pixels = fold_pixels(net, preprocessing)
    feature = Feature(params.input_name, list(preprocessing.shape), pixels=pixels)
    if model.description.is_classifier:
        return Source(net, "module", [feature], model.labels, model.description.output, metadata)
    return _of_outputs(net, feature, model.description, metadata)


def _of_arrays(model: TorchModel) -> Source:
    """A model that names its inputs, with what it keeps between calls."""
    described = model.description
    features = [Feature(i.name, list(i.shape), i.dtype, help=i.help) for i in described.inputs]
    return Source(
        program=model.net,
        form="module",
        features=features,
        labels=described.labels or None,
        gives=described.output if described.is_classifier else None,
        metadata={"mlbuild.model": _model_facts(described)},
        outputs=described.outputs,
        task=described.task,
        facts=described.facts,
        states=described.states,
        functions=described.functions,
        columns=described.inputs if described.task == TABULAR else (),
    )


def _model_facts(described: Description) -> dict[str, Any]:
    return {
        "task": described.task,
        "outputs": [{"name": o.name, "gives": o.gives} for o in described.outputs],
        "labels": list(described.labels),
        "facts": described.facts,
    }


def _of_outputs(
    net: nn.Module, feature: Feature, described: Description, metadata: dict[str, Any]
) -> Source:
    metadata["mlbuild.model"] = _model_facts(described)
    labels = described.labels or None
    return Source(
        program=_FirstOfBatch(net) if described.task == DETECTOR else net,
        form="module",
        features=[feature],
        labels=labels,
        gives=None,
        metadata=metadata,
        outputs=described.outputs,
        task=described.task,
        facts=described.facts,
    )


class _FirstOfBatch(nn.Module):
    """Boxes of the one picture, without a dimension for a batch: what suppression reads."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Shapes [1, C, H, W] -> [A, K], [A, 4]."""
        return tuple(torch.squeeze(out, 0) for out in self.net(x))


def _features(params: Any, name: str) -> list[Feature]:
    if not params.inputs:
        raise Problem(
            f"{name} does not describe its inputs",
            hint="name them: inputs: {image: {shape: [1, 3, 224, 224]}}",
        )
    return [
        Feature(
            name=given["name"],
            shape=given.get("shape"),
            shapes=given.get("shapes"),
            dtype=given.get("dtype") or "float32",
            pixels=Pixels.given(given) if given.get("kind") == "image" else None,
        )
        for given in params.inputs
    ]


def _load(path: Path, form: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch; the files are still around
            if form == "exported":
                return torch.export.load(str(path))
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # torch has no common class for files that it cannot read
        first = str(error).strip().splitlines()[:1]
        raise Problem(f"{path.name} cannot be read: {''.join(first)}") from error
