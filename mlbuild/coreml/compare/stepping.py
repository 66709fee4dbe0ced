"""An ML Program one operation at a time, on whatever inputs one likes.

What the comparison needs beyond running a model: give an operation the reference's values and
see what it makes of them; give it other constants and see how much that matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..body import OperatorUse
from ..errors import UnsupportedError
from ..features import encode_inputs
from ..mil.body import ProgramBody
from ..mil.compile import compile_function
from ..mil.constants import Constants
from ..mil.dtypes import ValueType
from ..mil.program import OPSETS, Binding, Block, Constant, Function, Operation, Output, Reference
from ..mil.randomness import Randomness
from ..mil.weights import WeightFiles
from ..model import Model
from .compression import Reach, reach

Values = Mapping[str, Any]


@dataclass(eq=False)
class Step:
    """One operation of the outermost block.

    Attributes:
        use: The operation as it is told.
        inputs: Names of the computed values that it takes, those that nested blocks see included.
        weights: Names of its real constants; ``run`` may be given others.
        outputs: Names of what it makes.
        declares_half: Whether any of its values or constants is declared as float16.
        compressed: Which of the constants are stored compressed.
        hides_half: Whether nested blocks use float16 constants, which cannot be given anew.
    """

    use: OperatorUse
    inputs: tuple[str, ...]
    weights: tuple[str, ...]
    outputs: tuple[str, ...]
    types: dict[str, ValueType]
    declares_half: bool
    compressed: frozenset[str]
    hides_half: bool
    _function: Function
    _files: WeightFiles
    _constants: Constants
    _reach: Callable[[str], Reach]
    _calls: dict[bool, Callable[..., Any]] = field(default_factory=dict)

    def run(
        self, values: Values, weights: Values | None = None, *, declared: bool = False
    ) -> dict[str, Any]:
        """What the operation makes of values, with its own weights or with others."""
        if declared not in self._calls:
            # Constants of its own, that know none of those that are given when it is run.
            compiled = compile_function(
                self._function, self._files, declared=declared, keep=frozenset()
            )
            self._calls[declared] = compiled.call
        given = {name: values[name] for name in self.inputs}
        for name in self.weights:
            own = weights.get(name) if weights is not None else None
            given[name] = self.weight(name) if own is None else own
        with torch.inference_mode():
            made = self._calls[declared](given, {}, Randomness(0))
        return dict(zip(self.outputs, made, strict=True))

    def weight(self, name: str) -> torch.Tensor:
        """One of its real constants, decompressed."""
        tensor: torch.Tensor = self._constants.get(Reference(name), "Tensor", name)
        return tensor

    def reach(self, name: str) -> Reach:
        """How far a compressed constant's elements may lie from what was compressed."""
        return self._reach(name)


class Steps:
    """All operations of a program, in order."""

    def __init__(self, model: Model) -> None:
        body = model.body
        if not isinstance(body, ProgramBody):
            raise UnsupportedError("only an ML Program can be run operation by operation")
        self._model, self._function = model, body.function
        self._constants = Constants(body.weights, self._function.opset)
        self._makers: dict[str, Operation] = {}
        self._reaches: dict[str, Reach] = {}
        self.inputs = tuple(given.name for given in self._function.inputs)
        self.outputs = tuple(self._function.body.outputs)
        self._types = {given.name: given.type for given in self._function.inputs}
        for operation in self._function.body.operations:
            self._types |= {made.name: made.type for made in operation.outputs}
        self.steps = tuple(self._read(body.weights))
        self.makers = {name: step for step in self.steps for name in step.outputs}

    @property
    def function(self) -> Function:
        """The program."""
        return self._function

    def constant(self, name: str) -> torch.Tensor:
        """A constant, decompressed."""
        tensor: torch.Tensor = self._constants.get(Reference(name), "Tensor", name)
        return tensor

    def reach(self, name: str) -> Reach:
        """How far a compressed constant's elements may lie from what was compressed."""
        if name not in self._reaches:
            maker = self._makers[name]
            value = self.constant(name)
            self._reaches[name] = reach(maker.type, lambda key: self.operand(maker, key), value)
        return self._reaches[name]

    def operand(self, operation: Operation, name: str) -> Any:
        """An operand of an operation on constants, as an array; None where it has none."""
        binding = _operand(operation, name)
        return None if binding is None else self._constants.get(binding, "Array", name)

    def stored_bytes(self, operation: Operation) -> int:
        """The bytes of everything that an operation on constants is made from."""
        total = 0
        for name in {*operation.attributes, *operation.inputs} - {"name"}:
            binding = _operand(operation, name)
            if isinstance(binding, Reference):
                maker = self._makers[binding.name]
                nested = maker.attributes.get("val") if maker.type == "const" else None
                total += _bytes(nested) if nested is not None else self.stored_bytes(maker)
            elif binding is not None:
                total += _bytes(binding)
        return total

    def encode(self, sample: Mapping[str, Any], state: Any = None) -> dict[str, Any]:
        """A sample as the program's inputs, in float32; without a state with a fresh one."""
        if state is None and any(self._is_state(n) for n in self.inputs):
            state = self._model.make_state()
        encoded = encode_inputs(self._model.description, sample)
        for name, value in encoded.items():
            encoded[name] = _unrounded(value, sample.get(name))
        return {name: self._input(name, encoded, state) for name in self.inputs}

    def type_of(self, name: str) -> ValueType | None:
        """The declared type of a value."""
        return self._types.get(name)

    def _is_state(self, name: str) -> bool:
        return self._types[name].kind == "state"

    def _input(self, name: str, encoded: Mapping[str, Any], state: Any) -> Any:
        if self._is_state(name):
            return state.cells[name]
        value, declared = encoded[name], self._types[name]
        if isinstance(value, int | float):
            value = torch.tensor([value])
        if isinstance(value, torch.Tensor) and declared.dtype is not None and declared.dtype.torch:
            return value.to(getattr(torch, declared.dtype.torch))
        return value

    def _read(self, files: WeightFiles) -> Iterator[Step]:
        opset = OPSETS.get(self._function.opset, self._function.opset)
        for operation in self._function.body.operations:
            if self._constants.add(operation):
                self._makers |= {made.name: operation for made in operation.outputs}
                continue
            yield self._step(operation, opset, files)

    def _step(self, operation: Operation, opset: str, files: WeightFiles) -> Step:
        operation = self._lifted(operation)
        names = sorted(_names(operation) & set(self._types))
        constant = [name for name in names if name in self._makers]
        free = [n for n in constant if self._is_free(n)]
        computed = tuple(name for name in names if name not in self._makers)
        needed = self._needed([n for n in constant if n not in free])
        outputs = tuple(made.name for made in operation.outputs)
        function = Function(
            self._function.name,
            self._function.opset,
            tuple(Output(name, self._types[name]) for name in (*computed, *free)),
            Block((), (*needed, operation), outputs),
        )
        types = {name: self._types[name] for name in (*computed, *free, *outputs)}
        return Step(
            use=_use(operation, opset),
            inputs=computed,
            weights=tuple(free),
            outputs=outputs,
            types=types,
            declares_half=any(_is_half(types[name]) for name in (*outputs, *free)),
            hides_half=any(_is_half(made.type) for made in _nested_constants(operation)),
            compressed=frozenset(n for n in free if self._makers[n].type != "const"),
            _function=function,
            _files=files,
            _constants=self._constants,
            _reach=self.reach,
        )

    def _lifted(self, operation: Operation) -> Operation:
        """An operation whose nested blocks take their real constants from outside.

        So they are constants of the step like any others, which can be given anew. What is made
        of constants inside (compressed weights), and a name that stands twice, stay.
        """
        nested = [o for block in operation.blocks for o in block.walk()]
        names = Counter(made.name for inner in nested for made in inner.outputs)
        needed = {n for o in nested if o.type.startswith("constexpr_") for n in _names(o)}
        lifted = set()
        for inner in nested:
            (name,) = [made.name for made in inner.outputs] if inner.type == "const" else ("",)
            if name and names[name] == 1 and name not in {*self._types, *needed}:
                self._types[name] = inner.outputs[0].type
                if self._is_free(name):
                    self._constants.add(inner)
                    self._makers[name] = inner
                    lifted.add(name)
                else:
                    del self._types[name]
        return _without(operation, lifted) if lifted else operation

    def _is_free(self, name: str) -> bool:
        declared = self._types[name]
        return declared.kind == "tensor" and declared.dtype is not None and declared.dtype.is_float

    def _needed(self, names: list[str]) -> list[Operation]:
        """The operations that make constants, each behind those that it needs itself."""
        found: dict[int, Operation] = {}
        for name in names:
            maker = self._makers[name]
            inner = sorted(n for n in _names(maker) if n in self._makers)
            for operation in (*self._needed(inner), maker):
                found.setdefault(id(operation), operation)
        return list(found.values())


def _without(operation: Operation, constants: set[str]) -> Operation:
    """An operation whose nested blocks do not make some constants."""
    blocks = tuple(
        replace(
            block,
            operations=tuple(
                _without(inner, constants)
                for inner in block.operations
                if inner.type != "const" or inner.outputs[0].name not in constants
            ),
        )
        for block in operation.blocks
    )
    return replace(operation, blocks=blocks) if blocks else operation


def _operand(operation: Operation, name: str) -> Binding | None:
    """An attribute (iOS16) or an input (iOS18)."""
    if name in operation.inputs:
        return operation.inputs[name][0]
    return operation.attributes.get(name)


def _bytes(constant: Constant) -> int:
    dtype = constant.type.dtype
    return -(-(constant.type.size or 0) * dtype.bits // 8) if dtype is not None else 0


def _unrounded(encoded: Any, given: Any) -> Any:
    """An array as it was given, where encoding it only rounded it to float16."""
    if not isinstance(encoded, torch.Tensor) or encoded.dtype != torch.float16:
        return encoded
    if not hasattr(given, "shape") or tuple(given.shape) != tuple(encoded.shape):
        return encoded.float()
    return torch.as_tensor(given).detach().cpu().float()


def _names(operation: Operation) -> set[str]:
    """Every name that an operation and its nested blocks refer to."""
    found = {
        binding.name
        for bindings in operation.inputs.values()
        for binding in bindings
        if isinstance(binding, Reference)
    }
    for block in operation.blocks:
        found |= set(block.outputs)
        for inner in block.walk():
            found |= _names(inner)
    return found


def _nested_constants(operation: Operation) -> Iterator[Output]:
    for block in operation.blocks:
        for inner in block.walk():
            if inner.type == "const" or inner.type.startswith("constexpr_"):
                yield from inner.outputs


def _is_half(declared: ValueType) -> bool:
    return declared.dtype is not None and declared.dtype.name in ("fp16", "bf16")


def _use(operation: Operation, opset: str) -> OperatorUse:
    inputs = {
        name: tuple(b.name if isinstance(b, Reference) else f"<{b.type}>" for b in bindings)
        for name, bindings in operation.inputs.items()
    }
    outputs = tuple((o.name, str(o.type)) for o in operation.outputs)
    return OperatorUse(operation.type, opset, operation.block, operation.index, inputs, outputs)
