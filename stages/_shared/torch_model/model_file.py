"""The self-describing model: a folder with ``model.json`` and ``model.safetensors``.

``model.json`` says which architecture to build, with which arguments, which labels its outputs
have, how a picture becomes its input, and what it gives: a classifier logits or probabilities, any
other task a list of named outputs (then the file is of version 2). Nothing in it is code, and no
time stands in it: equal models are equal bytes. A model that does not take one picture names its
inputs instead of a preprocessing, and what it remembers between calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..problem.problem import Problem
from .architectures import build
from .preprocessing import Preprocessing, from_json

FORMAT, VERSION = "mlbuild-torch-model", 2
DTYPES = ("float32", "int32")
OUTPUTS = ("logits", "probabilities")
CLASSIFIER = "classifier"
# What a named output may give: scores of classes, boxes (x, y of the middle, width, height, as
# shares of the picture) with their confidences, whole numbers that name classes or items, a
# picture from 0 to 255, or plain values.
GIVES = (
    *OUTPUTS,
    "confidences",
    "boxes",
    "classes",
    "indices",
    "image",
    "embedding",
    "distances",
    "value",
)
_KEYS = ("architecture", "labels", "output")


@dataclass(frozen=True)
class Output:
    """One of several outputs, in the order in which the network gives them."""

    name: str
    gives: str  # one of GIVES


@dataclass(frozen=True)
class Input:
    """An array that the network takes; the batch is not part of the shape unless it stands there.

    ``categories`` are texts that an app gives in place of their indices.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"  # one of DTYPES
    help: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """A buffer that the network keeps between calls, zero at first; Core ML keeps it in float16."""

    name: str  # the attribute of the network
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Description:
    """Everything but the weights.

    ``outputs`` is empty for a classifier, whose one output ``output`` describes. ``facts`` are what
    a user of the model needs beside labels: thresholds, names of reference pictures. ``inputs`` is
    empty where the network takes one picture, which ``preprocessing`` describes. ``functions`` are
    the entries of the converted model, each with shapes of inputs that are its own.
    """

    architecture: str
    arguments: dict[str, Any]
    labels: tuple[str, ...]
    preprocessing: Preprocessing | None
    output: str = "logits"
    training: dict[str, Any] = field(default_factory=dict)  # a summary for people; no times
    task: str = CLASSIFIER
    outputs: tuple[Output, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    states: tuple[State, ...] = ()
    functions: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    @property
    def is_classifier(self) -> bool:
        """One output, a score for each label."""
        return not self.outputs

    def to_json(self) -> dict[str, Any]:
        """What stands in ``model.json``."""
        text = {
            "format": FORMAT,
            "version": 1,
            "architecture": {"name": self.architecture, "arguments": self.arguments},
            "labels": list(self.labels),
            "output": self.output,
            "training": self.training,
        }
        if self.preprocessing is not None:
            text["preprocessing"] = self.preprocessing.to_json()
        if self.inputs:
            text.update(version=2, **_inputs_to_json(self))
        if self.is_classifier:
            return text if not self.inputs else {**text, "task": self.task, "facts": self.facts}
        more = {"task": self.task, "facts": self.facts}
        named = [{"name": o.name, "gives": o.gives} for o in self.outputs]
        return {**text, "version": 2, **more, "outputs": named}


@dataclass(frozen=True)
class TorchModel:
    """A network in eval mode with its description."""

    net: nn.Module
    description: Description

    @property
    def labels(self) -> tuple[str, ...]:
        """One for each output."""
        return self.description.labels

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """A picture as the network's input: float32, shape [C, H, W].

        Raises:
            Problem: the model takes no picture.
        """
        if self.description.preprocessing is None:
            taken = ", ".join(i.name for i in self.description.inputs)
            raise Problem(f"the torch model takes no picture, but {taken}")
        return self.description.preprocessing.preprocess(image)

    def probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        """Class scores that sum to 1, shapes [N, C, H, W] -> [N, K]."""
        with torch.no_grad():
            out = self.net(batch)
        return torch.softmax(out, dim=1) if self.description.output == "logits" else out


def save(net: nn.Module, description: Description, folder: Path) -> None:
    """Write a model folder.

    Raises:
        Problem: a weight is not a finite number, or labels repeat.
    """
    _check_labels(description.labels, 2 if description.is_classifier else 0)
    weights = {k: v.detach().cpu().contiguous() for k, v in sorted(net.state_dict().items())}
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Problem(f"weight {name} holds values that are not finite: training diverged")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(folder / "model.safetensors"))
    text = json.dumps(description.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> TorchModel:
    """Read a model folder; the network comes back in eval mode.

    Raises:
        Problem: a file is missing, truncated or of a newer version, or the weights do not fit.
    """
    folder = Path(folder)
    description = describe(folder)
    net = build(description.architecture, description.arguments, len(description.labels))
    weights = _weights(folder / "model.safetensors")
    wanted = net.state_dict()
    for name in sorted(set(wanted) | set(weights)):
        if name not in weights or name not in wanted:
            what = "lacks" if name not in weights else "has an unknown weight"
            raise Problem(f"model.safetensors {what} {name} of {description.architecture}")
        if weights[name].shape != wanted[name].shape:
            got, want = list(weights[name].shape), list(wanted[name].shape)
            raise Problem(
                f"model.safetensors: {name} has shape {got}, the architecture needs {want}"
            )
    net.load_state_dict(weights)
    return TorchModel(net.eval(), description)


def describe(folder: Path) -> Description:
    """Read ``model.json`` alone, without the weights."""
    file = Path(folder) / "model.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Problem(f"{Path(folder).name} is no torch model: it holds no model.json") from error
    except (OSError, ValueError) as error:
        raise Problem(f"model.json cannot be read: {error}") from error
    return _description(data)


def is_torch_model(path: Path) -> bool:
    """Whether a path looks like a folder of this format."""
    return (Path(path) / "model.json").is_file()


def _description(data: Any) -> Description:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise Problem(f"model.json: format is not {FORMAT!r}")
    version = data.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise Problem(f"model.json has version {version}, this mlbuild reads up to {VERSION}")
    missing = [key for key in _KEYS if key not in data]
    if missing:
        raise Problem(f"model.json lacks {', '.join(missing)}")
    architecture = data["architecture"]
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arguments"), dict):
        raise Problem("model.json: architecture needs name and arguments")
    if data["output"] not in OUTPUTS:
        raise Problem(f"model.json: output is {data['output']!r}, allowed: {', '.join(OUTPUTS)}")
    labels = data["labels"]
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise Problem("model.json: labels must be a list of names")
    outputs = _outputs(data.get("outputs", []))
    _check_labels(tuple(labels), 0 if outputs else 2)
    inputs = _inputs(data.get("inputs", []))
    if not inputs and "preprocessing" not in data:
        raise Problem("model.json lacks preprocessing")
    return Description(
        architecture=str(architecture.get("name")),
        arguments=architecture["arguments"],
        labels=tuple(labels),
        preprocessing=None if inputs else from_json(data["preprocessing"]),
        output=data["output"],
        training=data.get("training") or {},
        task=str(data.get("task", CLASSIFIER)),
        outputs=outputs,
        facts=data.get("facts") or {},
        inputs=inputs,
        states=tuple(State(s["name"], tuple(s["shape"])) for s in data.get("states", [])),
        functions=data.get("functions") or {},
    )


def _inputs_to_json(described: Description) -> dict[str, Any]:
    inputs: list[dict[str, Any]] = []
    for given in described.inputs:
        facts = {"name": given.name, "shape": list(given.shape), "dtype": given.dtype}
        more = {"help": given.help, "categories": list(given.categories)}
        inputs.append({**facts, **{key: value for key, value in more.items() if value}})
    states = [{"name": s.name, "shape": list(s.shape)} for s in described.states]
    found = {"inputs": inputs, "states": states, "functions": described.functions}
    return {key: value for key, value in found.items() if value}


def _inputs(data: Any) -> tuple[Input, ...]:
    try:
        found = tuple(
            Input(
                name=str(i["name"]),
                shape=tuple(int(size) for size in i["shape"]),
                dtype=str(i["dtype"]),
                help=str(i.get("help", "")),
                categories=tuple(i.get("categories", ())),
            )
            for i in data
        )
    except (TypeError, KeyError, ValueError) as error:
        raise Problem("model.json: inputs must be a list of name, shape and dtype") from error
    for given in found:
        if given.dtype not in DTYPES:
            raise Problem(
                f"model.json: input {given.name} is {given.dtype}, allowed: {', '.join(DTYPES)}"
            )
    return found


def _outputs(data: Any) -> tuple[Output, ...]:
    try:
        found = tuple(Output(str(o["name"]), str(o["gives"])) for o in data)
    except (TypeError, KeyError) as error:
        raise Problem("model.json: outputs must be a list of name and gives") from error
    for output in found:
        if output.gives not in GIVES:
            raise Problem(
                f"model.json: output {output.name} gives {output.gives!r}, "
                f"allowed: {', '.join(GIVES)}"
            )
    return found


def _check_labels(labels: tuple[str, ...], least: int) -> None:
    if len(labels) < least:
        raise Problem(f"a classifier needs at least two labels, got {len(labels)}")
    repeated = sorted({name for name in labels if labels.count(name) > 1})
    if repeated:
        raise Problem(f"label {repeated[0]!r} stands twice")


def _weights(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(str(file))
    except FileNotFoundError as error:
        raise Problem("the model's folder holds no model.safetensors") from error
    except (SafetensorError, OSError) as error:
        raise Problem(
            f"model.safetensors is damaged: {error}", hint="build the stage that made it again"
        ) from error
