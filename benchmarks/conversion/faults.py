"""What converters get wrong: every fault that can be put into a program, and where it then is.

A *site* is one fault in one place. ``place`` is the value that the damaged operator makes; ``also``
are other values of the same operator, or the copy of it; ``beside`` are, where the operator was
removed, those that read what it made and the one that it read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.conversion.program import Program

Edit = Callable[[Program], None]


@dataclass(frozen=True)
class Site:
    """One fault that can be made."""

    kind: str
    what: str
    place: str
    edit: Edit
    also: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


Finder = Callable[[Program, np.random.Generator], Iterator[Site]]
FINDERS: dict[str, Finder] = {}


def finder(kind: str) -> Callable[[Finder], Finder]:
    """Register what finds the sites of a class of faults."""

    def register(function: Finder) -> Finder:
        FINDERS[kind] = function
        return function

    return register


def sites(program: Program, seed: int) -> dict[str, list[Site]]:
    """Every site of a program by class; the same for the same seed."""
    found = {}
    for number, (kind, find) in enumerate(FINDERS.items()):
        rng = np.random.default_rng([seed, number])
        found[kind] = list(find(program, rng))
    return found


def made(operation: Any) -> str:
    """The name of an operation's first result."""
    return str(operation.outputs[0].name)


def change(name: str, key: str, to: Callable[[np.ndarray], np.ndarray]) -> Edit:
    """An edit of one constant input of the operation that makes ``name``."""

    def edit(program: Program) -> None:
        value = program.own(program.find(name), key)
        program.put(value, to(program.get(value)))

    return edit


def constant(program: Program, operation: Any, key: str) -> np.ndarray | None:
    """A constant input's elements; None where there is none that can be edited."""
    value = program.argument(operation, key)
    return program.get(value) if program.can_read(value) else None


def set_type(name: str, to: str, keep: tuple[str, ...] = ("x",)) -> Edit:
    """An edit that makes another operator of one; inputs that it does not take go."""

    def edit(program: Program) -> None:
        operation = program.find(name)
        operation.type = to
        for key in [key for key in operation.inputs if key not in keep]:
            del operation.inputs[key]

    return edit
