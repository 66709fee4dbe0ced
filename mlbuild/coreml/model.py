"""Loading and running models."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .description import Description, Feature, describe
from .errors import CoreMLError, ExecutionError, InputError, UnsupportedError
from .features import decode_output, encode_inputs
from .images import load_for
from .labels import class_labels, scores_value
from .mil.compile import FILE_NAME, Compiled, check, compile_function
from .mil.program import OPSETS, Function, Operation, Reference
from .mil.reader import read_function
from .mil.weights import WeightFiles
from .package import open_model

PRECISIONS = ("declared", "float32")
_NOT_YET = {
    "neuralNetwork": "NeuralNetwork",
    "neuralNetworkClassifier": "NeuralNetwork classifier",
    "neuralNetworkRegressor": "NeuralNetwork regressor",
    "pipeline": "pipeline",
    "pipelineClassifier": "pipeline classifier",
    "pipelineRegressor": "pipeline regressor",
}


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """One operation of a model: what it is, where it stands, what it takes and makes."""

    type: str
    opset: str
    block: str
    index: int
    inputs: dict[str, tuple[str, ...]]
    outputs: tuple[tuple[str, str], ...]  # name and type


@dataclass(frozen=True, slots=True)
class Run:
    """Outputs by name, and the values between that were asked for.

    ``outputs`` are as Core ML gives them, ``values`` are arrays: float32 for all real types.
    """

    outputs: dict[str, Any]
    values: dict[str, Any]


class Model:
    """A Core ML model, ready to predict. Made by ``load``."""

    def __init__(
        self, function: Function, description: Description, weights: WeightFiles, precision: str
    ) -> None:
        self.description = description
        self.precision = precision
        self._function, self._weights = function, weights
        self._compiled: dict[frozenset[str], Compiled] = {}
        self._types = {given.name: given.type for given in function.inputs}

    @property
    def scores_value(self) -> str | None:
        """The name of the value whose elements a classifier's labels belong to, if it is one."""
        return scores_value(self._function)

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Predict as Core ML does.

        Args:
            inputs: By name: pictures (PIL, path, or array [height, width, channels]) for image
                inputs, anything that numpy takes for multi-arrays.

        Returns:
            By name: arrays, PIL pictures, the class label, labels with their probabilities.
        """
        return self.run(inputs).outputs

    def predict_many(self, batch: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict one after the other."""
        return [self.predict(inputs) for inputs in batch]

    def trace(self, inputs: Mapping[str, Any]) -> Run:
        """Predict and hand out every value that is computed on the way (no constants)."""
        computed = (
            made.name
            for operation in self._function.body.operations
            if operation.type != "const" and not operation.type.startswith("constexpr_")
            for made in operation.outputs
        )
        return self.run(inputs, keep=frozenset(computed))

    def run(self, inputs: Mapping[str, Any], keep: Collection[str] = ()) -> Run:
        """Predict and hand out the values named in ``keep``."""
        compiled = self._program(frozenset(keep))
        tensors = encode_inputs(
            self.description, self._types, inputs, declared=self.precision == "declared"
        )
        kept: dict[str, Any] = {}
        with torch.inference_mode():
            try:
                results = compiled.call(tensors, kept)
            except Exception as error:
                raise self._failure(compiled, error) from error
        named = dict(zip(self._function.body.outputs, results, strict=True))
        outputs = {
            f.name: decode_output(f, named[f.name]) for f in self.description.outputs
            if f.name in named
        }  # fmt: skip
        values = {n: v.numpy() if isinstance(v, torch.Tensor) else v for n, v in kept.items()}
        return Run(outputs, values)

    def operators(self) -> tuple[OperatorUse, ...]:
        """Every operation but plain constants, in order; nested ones behind their holder."""
        opset = OPSETS.get(self._function.opset, self._function.opset)
        return tuple(_use(o, opset) for o in self._function.body.walk() if o.type != "const")

    def image_input(self) -> Feature:
        """The only image input, or an error that says what there is."""
        images = [f for f in self.description.inputs if f.image is not None]
        if len(images) != 1:
            raise InputError(
                "the model has not exactly one image input",
                got=", ".join(f"{f.name}: {f}" for f in self.description.inputs),
            )
        return images[0]

    def load_image(self, path: str | Path, scaling: str = "scaleFill", name: str = "") -> Any:
        """Load a picture in the size and colours of an image input (the only one by default)."""
        named = [f for f in self.description.inputs if f.name == name]
        return load_for(named[0] if named else self.image_input(), path, scaling)

    def _program(self, keep: frozenset[str]) -> Compiled:
        if keep not in self._compiled:
            made = {o.name for op in self._function.body.walk() for o in op.outputs} | set(
                self._types
            )
            if unknown := sorted(keep - made):
                raise InputError(f"the program makes no such value: {', '.join(unknown)}")
            self._compiled[keep] = compile_function(
                self._function,
                self._weights,
                declared=self.precision == "declared",
                keep=keep,
            )
        return self._compiled[keep]

    def _failure(self, compiled: Compiled, error: Exception) -> CoreMLError:
        if isinstance(error, ExecutionError) and error.place:
            return error
        operation = _failed_operation(compiled, error)
        place = operation.where(self._function.opset) if operation else None
        message = error.message if isinstance(error, CoreMLError) else str(error).split("\n")[0]
        return ExecutionError(message or type(error).__name__, place=place)


def load(path: str | Path, *, precision: str = "declared", function: str | None = None) -> Model:
    """Load a model.

    Args:
        path: An ``.mlpackage`` that holds an ML Program.
        precision: ``declared`` rounds each value to its declared type; ``float32`` rounds none,
            so that the difference shows what float16 costs.
        function: Which function of a multi-function model.

    Raises:
        ModelFileError: The files are missing or malformed.
        UnsupportedError: The model is of a type, or has an operator, that cannot be run.
    """
    if precision not in PRECISIONS:
        raise InputError("unknown precision", got=precision, allowed=PRECISIONS)
    files = open_model(path)
    kind = files.spec.WhichOneof("Type")
    if kind != "mlProgram":
        raise UnsupportedError(
            f"a model of type {_NOT_YET.get(kind, kind)} cannot be run yet",
            place=str(path),
            allowed=("mlProgram",),
        )
    try:
        name = function or files.spec.description.defaultFunctionName or None
        program = read_function(files.spec.mlProgram, name)
        check(program)
        weights = WeightFiles(files.folder)
        weights.check(program)
        labels = class_labels(program, weights)
    except CoreMLError as error:
        error.args = (f"{path}: {error}",)
        raise
    return Model(program, describe(files.spec, function, labels), weights, precision)


def top_labels(
    model: Model, outputs: Mapping[str, Any], count: int = 5
) -> list[tuple[str | int, float]]:
    """The best labels of a classifier's prediction with their scores, best first."""
    name = model.description.predicted_probabilities
    scores = outputs.get(name) if name else None
    if not isinstance(scores, dict):
        raise InputError("the model is no classifier with scores", got=", ".join(outputs))
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return [(label, float(score)) for label, score in ranked[:count]]


def _use(operation: Operation, opset: str) -> OperatorUse:
    inputs = {
        name: tuple(b.name if isinstance(b, Reference) else f"<{b.type}>" for b in bindings)
        for name, bindings in operation.inputs.items()
    }
    outputs = tuple((o.name, str(o.type)) for o in operation.outputs)
    return OperatorUse(operation.type, opset, operation.block, operation.index, inputs, outputs)


def _failed_operation(compiled: Compiled, error: Exception) -> Operation | None:
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == FILE_NAME:
            found = compiled.lines.get(line, found)
    return found
