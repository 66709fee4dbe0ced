"""What steers a training: defaults of the model, values of the caller, what the model allows.

Source: Core ML specification, Parameters.proto and NeuralNetwork.proto (NetworkUpdateParameters);
names are those of MLParameterKey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, ModelFileError

_NUMBERS = {
    "sgdOptimizer": ("learningRate", "miniBatchSize", "momentum"),
    "adamOptimizer": ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"),
}
_REQUIRED = {
    "sgdOptimizer": ("learningRate", "miniBatchSize"),
    "adamOptimizer": ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"),
}
_POSITIVE = ("miniBatchSize", "epochs")


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a network is trained.

    Attributes:
        optimizer: ``sgd`` or ``adam``.
        numbers: learningRate and the optimizer's own: momentum, or beta1, beta2 and eps.
        seed: Where shuffling begins; None draws anew each time.
    """

    optimizer: str
    numbers: dict[str, float]
    mini_batch_size: int
    epochs: int
    shuffle: bool
    seed: int | None


def read_parameters(message: Any, given: Mapping[str, Any]) -> Parameters:
    """Read a NetworkUpdateParameters message, and put the caller's values over its defaults.

    Raises:
        ModelFileError: The model lacks a parameter, or its default is outside of its own bounds.
        InputError: A value is of an unknown name, or not one that the model allows.
    """
    kind = message.optimizer.WhichOneof("OptimizerType")
    if kind is None:
        raise ModelFileError("the model names no optimizer", allowed=("SGD", "Adam"))
    own = getattr(message.optimizer, kind)
    for name in _REQUIRED[kind]:
        if not own.HasField(name):
            raise ModelFileError(f"the optimizer lacks {name}", place="update parameters")
    if not message.HasField("epochs"):
        raise ModelFileError("the number of epochs is missing", place="update parameters")
    messages = {name: getattr(own, name) for name in _NUMBERS[kind] if own.HasField(name)}
    messages["epochs"] = message.epochs
    allowed = (*_NUMBERS[kind], "epochs", "shuffle", "seed")
    if unknown := sorted(set(given) - set(allowed)):
        raise InputError(f"no such training parameter: {', '.join(unknown)}", allowed=allowed)
    numbers = {name: _number(name, entry, given) for name, entry in messages.items()}
    if kind == "sgdOptimizer":
        numbers.setdefault("momentum", float(given.get("momentum", 0.0)))
    seed = given.get("seed", message.seed.defaultValue if message.HasField("seed") else None)
    return Parameters(
        kind.removesuffix("Optimizer"),
        {k: v for k, v in numbers.items() if k not in _POSITIVE},
        int(numbers["miniBatchSize"]),
        int(numbers["epochs"]),
        bool(given.get("shuffle", message.shuffle.defaultValue)),
        None if seed is None else int(seed),
    )


def _number(name: str, message: Any, given: Mapping[str, Any]) -> float:
    whole = hasattr(message, "set") and message.DESCRIPTOR.name.startswith("Int64")
    value = message.defaultValue
    if (problem := _outside(name, message, value)) is not None:
        raise ModelFileError(
            f"the default of {name} is not allowed", place="update parameters",
            got=str(value), allowed=(problem,),
        )  # fmt: skip
    if name not in given:
        return float(value)
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value % 1):
        raise InputError(f"{name} must be a {'whole ' if whole else ''}number", got=str(value))
    if (problem := _outside(name, message, value)) is not None:
        raise InputError(f"the model does not allow this {name}", got=str(value),
                         allowed=(problem,))  # fmt: skip
    return float(value)


def _outside(name: str, message: Any, value: float) -> str | None:
    """What would be allowed, if the value is not."""
    which = message.WhichOneof("AllowedValues")
    if which == "range":
        low, high = message.range.minValue, message.range.maxValue
        return None if low <= value <= high else f"{low} to {high}"
    if which == "set":
        values = sorted(message.set.values)
        return None if value in values else ", ".join(map(str, values))
    return "a number above 0" if name in _POSITIVE and value <= 0 else None
