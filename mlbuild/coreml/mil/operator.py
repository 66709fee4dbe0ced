"""How an operator is defined, registered and found.

A file in ``ops/`` defines an operator as a plain function whose parameters bear the names of
the operator's inputs; parameters with a default are optional inputs. The annotation says in
which form an input is wanted (see ``FORMS``); type and arity are checked here, once, when a
program is compiled::

    @operator("softmax")
    def softmax(x: Tensor, axis: int = -1) -> Tensor: ...

Float16 values arrive as float32 tensors and the result is rounded by the runtime, unless the
operator is ``exact``: it only moves or picks values, so that nothing new has to be rounded.
``since`` names the first opset of a signature; the newest one that is not newer than the
program's opset is used.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ModelFileError, UnsupportedError
from .dtypes import ValueType
from .program import OPSETS, Operation
from .values import immediate

if TYPE_CHECKING:
    from torch import Tensor as Tensor
else:
    Tensor = Any  # annotations only: operators on constants work without torch
Tensors = list[Tensor]
Ints = list[int]
Bools = list[bool]
Array = Any  # a numpy array, in operators that run when a program is compiled
Declared = tuple[ValueType, ...]  # the declared types of the outputs
Blocks = tuple[Callable[..., tuple[Any, ...]], ...]  # nested blocks, ready to call
Generators = Callable[[int], Any]  # the generator of a random operator, by the seed it was given
Values = list[Any]  # several values of any kind

FORMS = frozenset(
    {"Tensor", "Tensors", "int", "float", "bool", "str", "Ints", "Bools", "Array", "Any", "Values",
     "Natural"}
)  # fmt: skip
_SPECIAL = frozenset({"Declared", "Blocks", "Generators"})
# Attributes that say something about an operation; those of a custom one name its class.
_ABOUT = frozenset({"name"})
_ABOUT_CUSTOM = _ABOUT | {"class_name", "input_order", "parameters", "weights", "description"}
_CUSTOM = "custom_layer"
_F = TypeVar("_F", bound=Callable[..., Any])
_ORDER = list(OPSETS.values())


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of an operator."""

    name: str
    form: str
    required: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """A registered operator."""

    type: str
    since: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    special: tuple[tuple[str, str], ...]  # parameters that the runtime fills: (name, form)
    exact: bool
    constant: bool  # runs once, when a program is compiled, on numpy arrays

    def check(self, operation: Operation, opset: str) -> None:
        """Refuse an operation with inputs that this operator lacks or that it misses."""
        about = _ABOUT_CUSTOM if operation.type == _CUSTOM else _ABOUT
        given = set(operation.inputs) | (set(operation.attributes) - about)
        known = {parameter.name for parameter in self.parameters}
        if extra := sorted(given - known):
            raise UnsupportedError(
                f"the operator has an input that this runtime does not know: {', '.join(extra)}",
                place=operation.where(opset),
                allowed=sorted(known),
            )
        needed = {parameter.name for parameter in self.parameters if parameter.required}
        if missing := sorted(needed - given):
            raise ModelFileError(
                f"the operation lacks a required input: {', '.join(missing)}",
                place=operation.where(opset),
            )


_registered: dict[str, dict[str, Operator]] = {}
_custom: dict[str, Operator] = {}


def operator(
    *types: str, since: str = "iOS15", exact: bool = False, constant: bool = False
) -> Callable[[_F], _F]:
    """Register a function as one or several operators."""

    def register(function: _F) -> _F:
        parameters, special = _parameters(function)
        for name in types:
            versions = _registered.setdefault(name, {})
            if since in versions:
                raise ValueError(f"operator {since}.{name} is defined twice")
            versions[since] = Operator(name, since, function, parameters, special, exact, constant)
        return function

    return register


def define(name: str, function: Callable[..., Any], **options: Any) -> None:
    """Register a function under a name; for tables of one-line siblings."""
    operator(name, **options)(function)


def register_operator(name: str, function: Callable[..., Any]) -> None:
    """Register a Python function as an operator that models bring along.

    The function's parameters bear the names of the operator's inputs; those with a default may
    be left out by a model. It is given tensors (float32 for all real types), constant numbers and
    strings as Python has them, and returns a tensor, or a tuple of tensors where the operator has
    several outputs. What it returns is rounded to the declared types.

    Args:
        name: The class name of a custom operator, or a type that this runtime does not know. A
            function that was registered under the name before is replaced.
        function: What computes.

    >>> register_operator("Swish", lambda x, beta=1.0: x * torch.sigmoid(beta * x))
    """
    parameters = tuple(
        Parameter(p.name, "Natural", p.default is inspect.Parameter.empty)
        for p in inspect.signature(function).parameters.values()
    )
    _custom[name] = Operator(name, _ORDER[0], function, parameters, (), False, False)


def find(operation: Operation, opset: str) -> Operator:
    """The operator for an operation, or an error that names the operation and its place."""
    if operation.type == _CUSTOM or operation.type in _custom:
        return _find_custom(operation, opset)
    _discover(operation.type.startswith("constexpr_"))
    if opset not in OPSETS:
        raise UnsupportedError("an opset that this runtime does not know", got=opset,
                               allowed=OPSETS)  # fmt: skip
    versions = _registered.get(operation.type, {})
    version = OPSETS[opset]
    usable = [s for s in versions if _ORDER.index(s) <= _ORDER.index(version)]
    if not usable:
        raise UnsupportedError(
            f"the operator {version}.{operation.type} is not supported",
            place=operation.where(opset),
            hint=f"it exists from {min(versions, key=_ORDER.index)} on" if versions else None,
        )
    return versions[max(usable, key=_ORDER.index)]


def _find_custom(operation: Operation, opset: str) -> Operator:
    place, name = operation.where(opset), operation.type
    if name == _CUSTOM:
        if "class_name" not in operation.attributes:
            raise ModelFileError("a custom operator names no class", place=place)
        name = str(immediate(operation.attributes["class_name"], place))
    if name not in _custom:
        raise UnsupportedError(
            f"the custom operator {OPSETS.get(opset, opset)}.{name} is not registered",
            place=place,
            hint=f'mlbuild.coreml.register_operator("{name}", function)',
        )
    return _custom[name]


def supported() -> dict[str, tuple[str, ...]]:
    """All operators, each with the opsets in which its signature changed."""
    _discover()
    return {n: tuple(sorted(v, key=_ORDER.index)) for n, v in sorted(_registered.items())}


@lru_cache(maxsize=2)
def _discover(constants_only: bool = False) -> None:
    """Import the files of operators.

    Those that define operators on constants are called ``constexpr_*`` and need only numpy, so
    that a model can be inspected where there is no torch.
    """
    package = import_module(f"{__package__}.ops")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("constexpr_") or not constants_only:
            import_module(f"{package.__name__}.{module.name}")


def _parameters(
    function: Callable[..., Any],
) -> tuple[tuple[Parameter, ...], tuple[tuple[str, str], ...]]:
    parameters, special = [], []
    for parameter in inspect.signature(function).parameters.values():
        form = str(parameter.annotation).removesuffix(" | None")
        if form in _SPECIAL:
            special.append((parameter.name, form))
        elif form in FORMS:
            required = parameter.default is inspect.Parameter.empty
            parameters.append(Parameter(parameter.name, form, required))
        else:
            raise TypeError(f"{function.__name__}: cannot give an input as {form}")
    return tuple(parameters), tuple(special)
