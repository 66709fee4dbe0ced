"""What can go wrong with a Core ML model: the file, what is supported, inputs, execution."""

from __future__ import annotations

from collections.abc import Iterable


class CoreMLError(Exception):
    """Base of all errors of the runtime.

    The message is told in this order: place, what, got, allowed, hint.

    Args:
        message: What is wrong.
        place: Where it is: a file, an input's name, an operation's position.
        got: What was found instead.
        allowed: What would have been right.
        hint: What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        place: str | None = None,
        got: str | None = None,
        allowed: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        self.message, self.place, self.got, self.hint = message, place, got, hint
        self.allowed = tuple(allowed)
        lines = [f"{place}: {message}" if place else message]
        if got is not None:
            lines.append(f"  got: {got}")
        if self.allowed:
            lines.append(f"  allowed: {', '.join(self.allowed)}")
        if hint:
            lines.append(f"  hint: {hint}")
        super().__init__("\n".join(lines))


class ModelFileError(CoreMLError):
    """The package, its specification or its weights are missing or malformed."""


class UnsupportedError(CoreMLError):
    """The model is sound as far as one can see, but this runtime cannot run it."""


class InputError(CoreMLError):
    """An input to a prediction does not fit the model's description."""


class ExecutionError(CoreMLError):
    """An operation failed while the model ran."""
