"""Branches and loops, and the copy that carries values through them.

Source: Core ML specification, NeuralNetwork.proto: CopyLayerParams, BranchLayerParams,
LoopLayerParams, LoopBreakLayerParams, LoopContinueLayerParams. Nested networks run in the blobs
of their surroundings.

A loop without a limit of its own ends only when its condition does, which a faulty model's never
may. It is therefore stopped with an error after ``limits.most_turns``, for which a loop and those
within it count together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from ...errors import ExecutionError, ModelFileError
from ...limits import turn
from ..checks import arity, scalar, whole
from ..layer import Given, Jump, Run, layer

_TRUE = 1e-6  # the smallest magnitude that counts as true

_in_body: ContextVar[bool] = ContextVar("in_body", default=False)
_spent: ContextVar[list[int] | None] = ContextVar("spent", default=None)


class Break(Jump):
    """Ends the loop."""


class Continue(Jump):
    """Ends the iteration."""


@layer("copy")
def copy(given: Given) -> Run:
    """The blob itself: no layer changes one in place."""
    arity(given, 1)
    return lambda x: x


@layer("branch")
def branch(given: Given) -> Run:
    """One of two networks; the second may be missing."""
    arity(given, 1, outputs=0)
    params, place = given.params, given.place
    _require(given, "ifBranch")
    then = given.around.network(params.ifBranch, f"{place}, ifBranch")
    other = (
        given.around.network(params.elseBranch, f"{place}, elseBranch")
        if params.HasField("elseBranch")
        else None
    )

    def run(condition: torch.Tensor) -> tuple[()]:
        if _holds(given, condition):
            then()
        elif other is not None:
            other()
        return ()

    return run


@layer("loop")
def loop(given: Given) -> Run:
    """The body, as often as the limit and the condition let it."""
    bounded = arity(given, 0, 1, outputs=0) == 1
    params, around, place = given.params, given.around, given.place
    _require(given, "bodyNetwork")
    condition = _condition(given)
    with _nested(in_body=True):
        body = around.network(params.bodyNetwork, f"{place}, bodyNetwork")
    # 0 is no limit for a while loop, but no iteration at all for a loop that only counts.
    fixed = int(params.maxLoopIterations) if params.maxLoopIterations or not condition else None

    def run(*count: torch.Tensor) -> tuple[()]:
        limit = whole(given, count[0], "the loop count") if bounded else fixed
        done = 0
        with _counting() as spent:
            while condition is None or _goes_on(given, condition):
                if limit is not None and done >= limit:
                    break
                spent[0] += 1
                turn(spent[0], place)
                done += 1
                try:
                    body()
                except Continue:
                    continue
                except Break:
                    break
        return ()

    return run


@layer("loopBreak")
def loop_break(given: Given) -> Run:
    """Ends the innermost loop around it."""
    return _leaving(given, Break)


@layer("loopContinue")
def loop_continue(given: Given) -> Run:
    """Ends the iteration of the innermost loop around it."""
    return _leaving(given, Continue)


def _leaving(given: Given, signal: type[Jump]) -> Run:
    arity(given, 0, outputs=0)
    if not _in_body.get():
        raise ModelFileError("it must stand in the body of a loop", place=given.place)

    def run() -> Any:
        raise signal

    return run


def _require(given: Given, name: str) -> None:
    if not given.params.HasField(name):
        raise ModelFileError(f"its {name} is missing", place=given.place)


def _condition(given: Given) -> Run | None:
    """The network that says whether a loop goes on, if it has one."""
    params, place = given.params, given.place
    if not params.conditionVar and not params.conditionNetwork.layers:
        return None  # coremltools writes an empty network where there is none
    if not params.conditionVar or not params.HasField("conditionNetwork"):
        raise ModelFileError(
            "conditionNetwork and conditionVar go together",
            place=place,
            got="one without the other",
        )
    with _nested(in_body=False):
        return given.around.network(params.conditionNetwork, f"{place}, conditionNetwork")


def _holds(given: Given, condition: torch.Tensor) -> bool:
    return abs(scalar(given, condition, "the condition")) > _TRUE


def _goes_on(given: Given, condition: Run) -> bool:
    condition()
    name = given.params.conditionVar
    if not given.around.has(name):  # made only in a branch that was not taken
        raise ExecutionError(f"no layer has made the condition '{name}'", place=given.place)
    return _holds(given, given.around.get(name))


@contextmanager
def _nested(*, in_body: bool) -> Iterator[None]:
    """While the networks of a loop are built: whether the loop can be left from there."""
    token = _in_body.set(in_body)
    try:
        yield
    finally:
        _in_body.reset(token)


@contextmanager
def _counting() -> Iterator[list[int]]:
    """The iterations of the outermost running loop and all within it, as a list of one number."""
    outer = _spent.get()
    if outer is not None:
        yield outer
        return
    spent = [0]
    token = _spent.set(spent)
    try:
        yield spent
    finally:
        _spent.reset(token)
