"""The constants of a function: found by name, decoded when asked for, shared between uses."""

from __future__ import annotations

from typing import Any

from ..errors import CoreMLError, ModelFileError
from ..limits import demand
from .dtypes import DType
from .forms import constant_form
from .operator import Operator, find
from .program import Binding, Constant, Operation, Reference
from .values import decode
from .weights import WeightFiles


class Constants:
    """Decodes ``const`` operations and runs ``constexpr_*`` ones, each once.

    Large tensors are kept once in the form in which operators use them; the decompressed arrays
    between go away with ``forget``.
    """

    def __init__(self, weights: WeightFiles, opset: str) -> None:
        self._weights, self._opset = weights, opset
        self._makers: dict[str, Operation] = {}
        self._dtypes: dict[str, DType | None] = {}
        self._decoded: dict[str, Any] = {}
        self._formed: dict[tuple[str, str], Any] = {}

    def add(self, operation: Operation) -> bool:
        """Note what an operation makes if that is constant."""
        constant = operation.type == "const" or find(operation, self._opset).constant
        if constant:
            for output in operation.outputs:
                self._makers[output.name] = operation
                self._dtypes[output.name] = output.type.dtype
        return constant

    def knows(self, binding: Binding) -> bool:
        """Whether a value is known before the program runs."""
        return isinstance(binding, Constant) or binding.name in self._makers

    def get(self, binding: Binding, form: str, place: str) -> Any:
        """A constant in the form that an operator wants."""
        if isinstance(binding, Constant):
            return _formed(decode(binding, self._weights, place), binding.type.dtype, form, place)
        key = (binding.name, form)
        if key not in self._formed:
            value = self._value(binding.name)
            self._formed[key] = _formed(value, self._dtypes[binding.name], form, place)
            if form == "Tensor":
                self._decoded.pop(binding.name, None)  # the tensor is what is needed again
                self._weights.release()
        return self._formed[key]

    def forget(self) -> None:
        """Drop what was only needed on the way to tensors; it is made anew if asked for again."""
        self._decoded.clear()
        self._formed = {key: value for key, value in self._formed.items() if key[1] == "Tensor"}

    def dtype(self, binding: Binding) -> DType | None:
        """The declared element type of a constant."""
        if isinstance(binding, Constant):
            return binding.type.dtype
        return self._dtypes[binding.name]

    def _value(self, name: str) -> Any:
        if name not in self._decoded:
            operation = self._makers[name]
            if operation.type == "const":
                return self._decode(operation)
            self._run(operation)
        return self._decoded[name]

    def _decode(self, operation: Operation) -> Any:
        place = operation.where(self._opset)
        if "val" not in operation.attributes:
            raise ModelFileError("a constant holds no value", place=place)
        return decode(operation.attributes["val"], self._weights, place)

    def _run(self, operation: Operation) -> None:
        maker = find(operation, self._opset)
        maker.check(operation, self._opset)
        place = operation.where(self._opset)
        for output in operation.outputs:
            demand((output.type.size or 0) * 4, place)
        try:
            results = maker.function(**self._arguments(maker, operation))
        except CoreMLError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"a compressed constant cannot be unpacked: {error}", place=place
            ) from error
        if len(operation.outputs) == 1:
            results = (results,)
        for output, value in zip(operation.outputs, results, strict=True):
            self._decoded[output.name] = value

    def _arguments(self, maker: Operator, operation: Operation) -> dict[str, Any]:
        # iOS16 writes the operands as attributes, iOS18 as inputs.
        place = operation.where(self._opset)
        arguments = {}
        for parameter in maker.parameters:
            binding: Binding | None = operation.attributes.get(parameter.name)
            if parameter.name in operation.inputs:
                binding = operation.inputs[parameter.name][0]
            if binding is None:
                continue
            if isinstance(binding, Reference) and binding.name not in self._makers:
                raise ModelFileError(f"the value '{binding.name}' must be constant", place=place)
            arguments[parameter.name] = self.get(binding, parameter.form, place)
        return arguments


def _formed(value: Any, dtype: DType | None, form: str, place: str) -> Any:
    try:
        return constant_form(value, dtype, form)
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"a constant is not what is needed: {error}", place=place) from error
