"""Python classes that stand for custom models.

Source: Core ML specification, CustomModel.proto; Apple, Core ML, MLCustomModel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar


class CustomModel(Protocol):
    """What a registered class must offer."""

    def __init__(self, parameters: Mapping[str, Any]) -> None: ...

    def predict(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs by name from inputs by name.

        Arrays are numpy arrays, pictures float32 [1, channels, height, width] from 0 to 255,
        everything else plain Python.
        """
        ...


_Class = TypeVar("_Class", bound=Callable[[Mapping[str, Any]], CustomModel])
_registered: dict[str, Callable[[Mapping[str, Any]], CustomModel]] = {}


def register_custom_model(class_name: str) -> Callable[[_Class], _Class]:
    """Let a Python class stand for a model's custom class; a later one replaces an earlier one.

    >>> @register_custom_model("Doubler")
    ... class Doubler:
    ...     def __init__(self, parameters):
    ...         self.factor = parameters.get("factor", 2)
    ...     def predict(self, inputs):
    ...         return {"y": inputs["x"] * self.factor}
    """

    def register(made_by: _Class) -> _Class:
        _registered[class_name] = made_by
        return made_by

    return register


def custom_models() -> dict[str, Callable[[Mapping[str, Any]], CustomModel]]:
    """What is registered, by class name."""
    return dict(_registered)
