"""What layers ask of their inputs and parameters, told with the layer's place.

Source: Core ML specification, NeuralNetwork.proto: "Negative indexing is supported", "Requires 1
input and produces 1 output", and blobs of at least one dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, prod

import torch

from ..errors import ExecutionError, ModelFileError
from ..limits import demand
from .layer import Given

_BYTES = 4  # every blob is float32
_MOST_DIMENSIONS = 64  # of an array of numpy, as which a blob may be given out


def arity(given: Given, least: int, most: int | None = None, outputs: int = 1) -> int:
    """Check how many blobs a layer takes and makes.

    Args:
        given: The layer.
        least: The fewest inputs.
        most: The most inputs; the same as ``least`` if left out, -1 for any number.
        outputs: How many outputs; at least that many where negative.

    Returns:
        The number of inputs.

    Raises:
        ModelFileError: The model gives it other numbers.
    """
    most = least if most is None else most
    number = len(given.message.input)
    if number < least or (most >= 0 and number > most):
        allowed = f"{least} to {most}" if most > least else str(least)
        raise ModelFileError(
            "a layer with a wrong number of inputs",
            place=given.place,
            got=str(number),
            allowed=(f"{least} or more" if most < 0 else allowed,),
        )
    made = len(given.message.output)
    if made != outputs if outputs >= 0 else made < -outputs:
        raise ModelFileError(
            "a layer with a wrong number of outputs",
            place=given.place,
            got=str(made),
            allowed=(str(outputs) if outputs >= 0 else f"{-outputs} or more",),
        )
    return number


def axis_of(given: Given, axis: int, rank: int) -> int:
    """An axis counted from the front; negative ones count from the end.

    Raises:
        ExecutionError: The blob has no such axis.
    """
    if not -rank <= axis < rank:
        raise ExecutionError(
            "an axis outside of the blob",
            place=given.place,
            got=str(axis),
            allowed=(f"{-rank} to {rank - 1}",),
        )
    return axis % rank


def axes_of(given: Given, axes: Iterable[int], rank: int) -> list[int]:
    """Axes counted from the front, in the order in which they were given.

    Raises:
        ExecutionError: One is outside of the blob, or is named twice.
    """
    found = [axis_of(given, int(axis), rank) for axis in axes]
    if len(set(found)) != len(found):
        raise ExecutionError(
            "an axis is named twice", place=given.place, got=", ".join(map(str, found))
        )
    return found


def integers(given: Given, blob: torch.Tensor) -> list[int]:
    """The values of a small blob that stand for integers.

    Raises:
        ExecutionError: One is not finite.
    """
    values = blob.detach().reshape(-1).tolist()
    if not all(isfinite(value) for value in values):
        raise ExecutionError("a whole number was expected", place=given.place, got=str(values))
    return [int(value) for value in values]


def scalar(given: Given, blob: torch.Tensor, what: str) -> float:
    """The only value of a blob.

    Raises:
        ExecutionError: It has another number of values.
    """
    if blob.numel() != 1:
        raise ExecutionError(
            f"{what} must be one number",
            place=given.place,
            got=f"a blob of shape {list(blob.shape)}",
        )
    return float(blob.detach().reshape(()))


def whole(given: Given, blob: torch.Tensor, what: str) -> int:
    """The only value of a blob, as an integer."""
    scalar(given, blob, what)
    return integers(given, blob)[0]


def checked_shape(given: Given, shape: Sequence[int]) -> list[int]:
    """A shape that is about to be made.

    Raises:
        ExecutionError: A dimension is negative, or the blob would be too large for the machine.
    """
    sizes = [int(size) for size in shape]
    if any(size < 0 for size in sizes):
        raise ExecutionError("a negative dimension", place=given.place, got=str(sizes))
    if len(sizes) > _MOST_DIMENSIONS:
        raise ExecutionError(
            "a blob of too many dimensions",
            place=given.place,
            got=str(len(sizes)),
            allowed=(f"at most {_MOST_DIMENSIONS}",),
        )
    # numpy also refuses an empty array that would be too large without its dimension of 0.
    demand(_BYTES * prod(size for size in sizes if size), given.place)
    return sizes


def at_least_one(blob: torch.Tensor) -> torch.Tensor:
    """A blob without dimensions as one of a single element: blobs have one at least."""
    return blob if blob.dim() else blob.reshape(1)
