"""An ML Program as plain facts, free of protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .dtypes import ValueType

OPSETS = {
    "CoreML5": "iOS15",
    "CoreML6": "iOS16",
    "CoreML7": "iOS17",
    "CoreML8": "iOS18",
    "CoreML9": "iOS26",
}


@dataclass(frozen=True, slots=True)
class Blob:
    """A constant that lies in a weight file."""

    file: str
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value written into the program: a message of the specification, or a place in a file."""

    type: ValueType
    message: Any  # MIL Value; decoded by mil.values when it is needed
    blob: Blob | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The use of a value by its name."""

    name: str


Binding = Reference | Constant


@dataclass(frozen=True, slots=True)
class Output:
    """A value that an operation makes, or that a block or function is given."""

    name: str
    type: ValueType


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation; ``inputs`` keeps a tuple for each name since some take several values."""

    type: str
    inputs: dict[str, tuple[Binding, ...]]
    variadic: frozenset[str]  # inputs that were given as a list, even of one
    outputs: tuple[Output, ...]
    blocks: tuple[Block, ...]
    attributes: dict[str, Constant]
    index: int
    block: str  # the path of the block that it stands in: "main", "main/3.then"

    def where(self, opset: str) -> str:
        """The place, for a message."""
        made = ", ".join(output.name for output in self.outputs) or "nothing"
        version = OPSETS.get(opset, opset)
        return f"operation {self.index} of {self.block}, {version}.{self.type} (makes {made})"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Operations in order, with the names of the values that they give back."""

    inputs: tuple[Output, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]

    def walk(self) -> Iterator[Operation]:
        """All operations, those of nested blocks behind the one that holds them."""
        for operation in self.operations:
            yield operation
            for block in operation.blocks:
                yield from block.walk()


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A named entry of a program."""

    name: str
    opset: str
    inputs: tuple[Output, ...]
    body: Block
