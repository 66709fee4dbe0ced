"""Compiles a function into one straight-line Python function.

Every operation becomes one line of generated source: a call, the rounding of its result, and
the deletion of the values that nothing needs any more. Nested blocks become nested functions.
A line number in a traceback thus leads back to the operation that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import UnsupportedError
from .constants import Constants
from .dtypes import DType
from .forms import RUNTIME
from .operator import Operator, Parameter, find
from .precision import finish
from .program import Binding, Block, Function, Operation, Reference
from .randomness import Randomness
from .weights import WeightFiles

FILE_NAME = "<compiled ML Program>"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A function ready to run, and which operation stands on which line."""

    call: Callable[[dict[str, Any], dict[str, Any], Randomness], tuple[Any, ...]]
    lines: dict[int, Operation]
    source: str


def check(function: Function) -> None:
    """Refuse what cannot be run, without touching any weight."""
    for operation in function.body.walk():
        if operation.type != "const":
            find(operation, function.opset).check(operation, function.opset)


def compile_function(
    function: Function,
    weights: WeightFiles,
    *,
    declared: bool,
    keep: frozenset[str],
    constants: Constants | None = None,
) -> Compiled:
    """Compile a function.

    Args:
        function: What to compile.
        weights: Where its constants lie.
        declared: Whether float16 values are rounded; otherwise float32 is kept.
        keep: Names of values to hand out.
        constants: Tensors of ``weights`` that are to be shared with other compilations.
    """
    constants = constants or Constants(weights, function.opset)
    writer = _Writer(function, constants, declared, keep)
    writer.function()
    constants.forget()
    source = "\n".join(writer.lines)
    namespace = writer.names
    exec(compile(source, FILE_NAME, "exec"), namespace)
    return Compiled(namespace["program"], writer.operations, source)


@dataclass(slots=True)
class _Writer:
    whole: Function
    constants: Constants
    declared: bool
    keep: frozenset[str]
    lines: list[str] = field(default_factory=list)
    operations: dict[int, Operation] = field(default_factory=dict)
    names: dict[str, Any] = field(
        default_factory=lambda: {f"as_{k}": v for k, v in RUNTIME.items()}
    )
    variables: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, DType | None] = field(default_factory=dict)
    shared: dict[int, str] = field(default_factory=dict)

    def function(self) -> None:
        """The text of the whole function: its inputs, then its operations in order."""
        self.lines.append("def program(inputs, kept, randomness):")
        for given in self.whole.inputs:
            self.dtypes[given.name] = given.type.dtype
            self.lines.append(f"    {self._variable(given.name)} = inputs[{given.name!r}]")
            self._keep(given.name, "    ")
        self.block(self.whole.body, "    ")

    def block(self, block: Block, indent: str) -> None:
        """Write a block's lines; only values that it made itself die in it."""
        last, used = _last_uses(block), _used(block)
        mine = {made.name for operation in block.operations for made in operation.outputs}
        if indent == "    ":
            mine |= {given.name for given in self.whole.inputs}
        for number, operation in enumerate(block.operations):
            if self.constants.add(operation):
                self._keep_constants(operation, indent)
                continue
            self._operation(operation, indent)
            dead = [n for n in last.get(number, ()) if n in mine and n in self.variables]
            unused = [o.name for o in operation.outputs if o.name not in used]
            gone = sorted({self.variables[name] for name in [*dead, *unused]})
            if gone:
                self.lines[-1] += f"; del {', '.join(gone)}"
        results = "".join(f"{self._result(name)}, " for name in block.outputs)
        self.lines.append(f"{indent}return ({results})")

    def _operation(self, operation: Operation, indent: str) -> None:
        operator = find(operation, self.whole.opset)
        operator.check(operation, self.whole.opset)
        blocks = [self._nested(block, indent) for block in operation.blocks]
        arguments = [
            f"{p.name}={text}"
            for p in operator.parameters
            if (text := self._argument(p, operation))
        ]
        for name, form in operator.special:
            if form == "Declared":
                arguments.append(f"{name}={self._hold(tuple(o.type for o in operation.outputs))}")
            elif form == "Generators":
                arguments.append(f"{name}=randomness.at({len(self.lines)})")
            else:
                arguments.append(f"{name}=({''.join(f'{b}, ' for b in blocks)})")
        call = f"{self._hold(operator.function)}({', '.join(arguments)})"
        self._assign(operation, operator, call, indent)

    def _assign(self, operation: Operation, operator: Operator, call: str, indent: str) -> None:
        rounds = [self._finish(operation, operator, o.type.dtype) for o in operation.outputs]
        for output in operation.outputs:
            self.dtypes[output.name] = output.type.dtype
        names = [self._variable(output.name) for output in operation.outputs]
        if len(names) == 1:
            text = f"{rounds[0]}({call})" if rounds[0] else call
            line = f"{names[0]} = {text}"
        else:
            line = f"{''.join(f'{n}, ' for n in names)} = {call}" if names else call
            line += "".join(f"; {n} = {r}({n})" for n, r in zip(names, rounds, strict=True) if r)
        for output in operation.outputs:
            if output.name in self.keep:
                line += f"; kept[{output.name!r}] = {self.variables[output.name]}"
        self.lines.append(indent + line)
        self.operations[len(self.lines)] = operation

    def _finish(self, operation: Operation, operator: Operator, dtype: DType | None) -> str:
        """The name of what rounds a result, or nothing."""
        exact = operator.exact and (
            dtype is None
            or not dtype.is_float
            or all(
                given is None or not given.is_float or given is dtype
                for given in self._input_types(operation)
            )
        )
        rounding = finish(dtype, exact, self.declared)
        return self._hold(rounding) if rounding else ""

    def _input_types(self, operation: Operation) -> Iterable[DType | None]:
        for bindings in operation.inputs.values():
            for binding in bindings:
                if self.constants.knows(binding):
                    yield self.constants.dtype(binding)
                elif isinstance(binding, Reference):
                    yield self.dtypes.get(binding.name)

    def _nested(self, block: Block, indent: str) -> str:
        name = f"block{len(self.lines)}"
        given = ", ".join(self._variable(g.name) for g in block.inputs)
        for entry in block.inputs:
            self.dtypes[entry.name] = entry.type.dtype
        self.lines.append(f"{indent}def {name}({given}):")
        self.block(block, indent + "    ")
        return name

    def _argument(self, parameter: Parameter, operation: Operation) -> str:
        bindings = operation.inputs.get(parameter.name)
        if bindings is None:
            attribute = operation.attributes.get(parameter.name)
            if attribute is None or parameter.name == "name":
                return ""
            bindings = (attribute,)
        if parameter.form == "Tensors":
            items = (self._single(binding, "Tensor", operation) for binding in bindings)
            return f"[{', '.join(items)}]"
        if parameter.form == "Values" or (parameter.form == "Natural" and len(bindings) != 1):
            form = {"Values": "Any"}.get(parameter.form, parameter.form)
            return f"[{', '.join(self._single(b, form, operation) for b in bindings)}]"
        if parameter.form in ("Ints", "Bools") and len(bindings) != 1:
            single = {"Ints": "int", "Bools": "bool"}[parameter.form]
            return f"[{', '.join(self._single(b, single, operation) for b in bindings)}]"
        if len(bindings) != 1:
            raise UnsupportedError(
                f"the input '{parameter.name}' takes one value",
                place=operation.where(self.whole.opset),
                got=f"{len(bindings)} values",
            )
        return self._single(bindings[0], parameter.form, operation)

    def _single(self, binding: Binding, form: str, operation: Operation) -> str:
        place = operation.where(self.whole.opset)
        if self.constants.knows(binding):
            return self._hold(self.constants.get(binding, form, place))
        assert isinstance(binding, Reference)
        variable = self._variable(binding.name)
        return f"as_{form}({variable})" if form in RUNTIME else variable

    def _result(self, name: str) -> str:
        reference = Reference(name)
        if self.constants.knows(reference):
            return self._hold(self.constants.get(reference, "Tensor", f"result '{name}'"))
        return self._variable(name)

    def _keep(self, name: str, indent: str) -> None:
        if name in self.keep:
            self.lines.append(f"{indent}kept[{name!r}] = {self.variables[name]}")

    def _keep_constants(self, operation: Operation, indent: str) -> None:
        for output in operation.outputs:
            if output.name in self.keep and output.type.dtype and output.type.dtype.torch:
                self.lines.append(f"{indent}kept[{output.name!r}] = {self._result(output.name)}")

    def _variable(self, name: str) -> str:
        return self.variables.setdefault(name, f"v{len(self.variables)}")

    def _hold(self, value: Any) -> str:
        """A name in the generated code for an object, the same for the same object."""
        if id(value) not in self.shared:
            name = f"c{len(self.shared)}"
            self.shared[id(value)] = name
            self.names[name] = value  # also keeps the object alive, so that its id stays its own
        return self.shared[id(value)]


def _used(block: Block) -> set[str]:
    return {name for names in _uses(block) for name in names} | set(block.outputs)


def _uses(block: Block) -> list[set[str]]:
    """For each operation the names it needs, those of its nested blocks among them."""
    result = []
    for operation in block.operations:
        names = {
            binding.name
            for bindings in operation.inputs.values()
            for binding in bindings
            if isinstance(binding, Reference)
        }
        for inner in operation.blocks:
            names |= _used(inner)
        result.append(names)
    return result


def _last_uses(block: Block) -> dict[int, list[str]]:
    """Which values die with which operation."""
    last: dict[str, int] = {}
    for number, names in enumerate(_uses(block)):
        for name in names:
            last[name] = number
    result: dict[int, list[str]] = {}
    for name, number in last.items():
        if name not in block.outputs:
            result.setdefault(number, []).append(name)
    return result
