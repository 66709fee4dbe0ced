"""An ML Program behind the features of its model."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from ..body import OperatorUse, Options, Ran
from ..errors import CoreMLError, ExecutionError, InputError
from ..labels import class_labels, scores_value
from ..limits import is_exhaustion
from .compile import FILE_NAME, Compiled, check, compile_function
from .constants import Constants
from .dtypes import ValueType
from .precision import to_half
from .program import OPSETS, Function, Operation, Reference
from .randomness import Randomness
from .reader import read_function
from .state import State
from .tensor_list import TensorList
from .weights import WeightFiles


class ProgramBody:
    """One function of an ML Program; compiled when it is first run."""

    def __init__(self, function: Function, weights: WeightFiles, options: Options) -> None:
        self._function, self._weights, self._options = function, weights, options
        self.labels = class_labels(function, weights)
        self.scores_value = scores_value(function)
        self._types = {given.name: given.type for given in function.inputs}
        self._constants = Constants(weights, function.opset)
        self._compiled: dict[frozenset[str], Compiled] = {}
        self._compiling = Lock()

    @property
    def function(self) -> Function:
        """The program that is run."""
        return self._function

    @property
    def weights(self) -> WeightFiles:
        """Where its constants lie."""
        return self._weights

    def values(self) -> tuple[str, ...]:
        """Names of the values of the outermost block, in the order in which they are made."""
        return tuple(
            made.name
            for operation in self._function.body.operations
            if operation.type != "const" and not operation.type.startswith("constexpr_")
            for made in operation.outputs
        )

    def operators(self) -> tuple[OperatorUse, ...]:
        """Every operation but plain constants, in order; nested ones behind their holder."""
        opset = OPSETS.get(self._function.opset, self._function.opset)
        return tuple(_use(o, opset) for o in self._function.body.walk() if o.type != "const")

    def make_state(self) -> State | None:
        """Fresh state, all zeros, or None for a function without."""
        state = State(self._function.inputs, self._options.declared)
        return state if state.names else None

    def run(self, values: Mapping[str, Any], keep: Collection[str], state: Any = None) -> Ran:
        """Compute, in float32 rounded to the declared types."""
        compiled = self._program(frozenset(keep))
        tensors = {n: _typed(v, self._types.get(n), self._options) for n, v in values.items()}
        tensors.update(self._cells(state))
        kept: dict[str, Any] = {}
        with torch.inference_mode():
            try:
                results = compiled.call(tensors, kept, Randomness(self._options.seed))
            except Exception as error:
                raise self._failure(compiled, error) from error
        for name, value in kept.items():
            if isinstance(value, TensorList):
                kept[name] = value.all()
        return Ran(dict(zip(self._function.body.outputs, results, strict=True)), kept)

    def _cells(self, state: Any) -> Mapping[str, Any]:
        """What the program reads and writes of a state, which must be of its own kind."""
        wanted = [name for name, of in self._types.items() if of.kind == "state"]
        if state is None:
            if wanted:
                raise InputError(
                    f"the model keeps a state: {', '.join(wanted)}",
                    hint="model.predict(inputs, state=model.make_state())",
                )
            return {}
        if not wanted:
            raise InputError("the model has no state, but one was given")
        if not isinstance(state, State) or not state.fits(self._function.inputs):
            raise InputError("the state is not one of this model", hint="model.make_state()")
        return state.cells

    def _program(self, keep: frozenset[str]) -> Compiled:
        with self._compiling:  # two threads must not both unpack the weights
            if keep not in self._compiled:
                self._compiled[keep] = self._compile(keep)
            return self._compiled[keep]

    def _compile(self, keep: frozenset[str]) -> Compiled:
        made = {o.name for op in self._function.body.walk() for o in op.outputs}
        tensors = {name for name, of in self._types.items() if of.kind != "state"}
        if unknown := sorted(keep - made - tensors):
            raise InputError(f"the program makes no such value: {', '.join(unknown)}")
        return compile_function(
            self._function,
            self._weights,
            declared=self._options.declared,
            keep=keep,
            constants=self._constants,
        )

    def _failure(self, compiled: Compiled, error: Exception) -> CoreMLError:
        if isinstance(error, ExecutionError) and error.place:
            return error
        operation = _failed_operation(compiled, error)
        place = operation.where(self._function.opset) if operation else None
        if isinstance(error, CoreMLError):
            return ExecutionError(
                error.message, place=place, got=error.got, allowed=error.allowed, hint=error.hint
            )
        if is_exhaustion(error):
            return ExecutionError("there is not enough memory for a value", place=place)
        return ExecutionError(str(error).split("\n")[0] or type(error).__name__, place=place)


def open_body(spec: Any, folder: Path, options: Options) -> ProgramBody:
    """Read and check the function that is asked for; no weight is read yet."""
    name = options.function or spec.description.defaultFunctionName or None
    function = read_function(spec.mlProgram, name)
    check(function)
    weights = WeightFiles(folder)
    weights.check(function)
    return ProgramBody(function, weights, options)


def _typed(value: Any, wanted: ValueType | None, options: Options) -> Any:
    if isinstance(value, int | float):  # a program takes numbers as arrays of one element
        value = torch.tensor([value], dtype=torch.int32 if isinstance(value, int) else None)
    dtype = wanted.dtype if wanted is not None else None
    if dtype is None or not dtype.torch:
        return value.float() if value.is_floating_point() else value
    tensor = value.to(getattr(torch, dtype.torch))
    return to_half(tensor) if options.declared and dtype.name == "fp16" else tensor


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
