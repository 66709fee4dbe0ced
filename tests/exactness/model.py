"""What should happen, told without the planner: a small model of a project and its builds.

A stage's result is a number made of the numbers in its inputs, modulo a small one, so that equal
results from different inputs, and with them early cut-offs, happen all the time. What a stage's
result depends on is written down here as a tuple (`Work.identity`), from this model alone; nothing
is taken from the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Content = str | tuple[tuple[str, str], ...]  # of a file; of a folder, (relative path, text) sorted
Axis = int | None  # the one matrix axis `k`, or none

MATRIX = (1, 2)


@dataclass(frozen=True)
class Read:
    """One input. `source` is a path, or the uid of a stage; `every` takes all variants."""

    source: str | int
    output: str = "o"
    every: bool = False


@dataclass
class Definition:
    """A stage as it stands in the pipeline file."""

    uid: int
    name: str
    kind: bool = False  # `uses: my/mix` in place of a command
    add: int = 0
    modulus: int = 3
    folder: bool = False  # its output is a folder
    extra: bool = False  # a second output
    literal: bool = False  # the command does not name its output: it writes to the declared path
    matrix: bool = False
    uses_global: bool = False  # `${{ params.g }}` is added
    fails_at: int | None = None  # the result at which it fails
    env: int | None = None
    cpu: int = 1
    path: int = 0  # which of some output paths
    reads: dict[str, Read] = field(default_factory=dict)


@dataclass(frozen=True)
class Code:
    """The project's own stage kind."""

    factor: int = 1  # in run.py
    shared: int = 0  # in _shared/
    comment: int = 0  # in run.py
    default: int = 0  # of the parameter `add`, in spec.py


@dataclass(frozen=True)
class Variant:
    """One stage after the matrix."""

    of: Definition
    k: Axis

    @property
    def name(self) -> str:
        return self.of.name if self.k is None else f"{self.of.name}[k={self.k}]"


@dataclass(frozen=True)
class Work:
    """One stage with all that its result depends on."""

    identity: tuple[Any, ...]
    results: Mapping[str, Content] | None  # None: it fails


def value(content: Content) -> int:
    """The number in a file; of a folder, a sum in which names count."""
    if isinstance(content, str):
        return int(re.sub(r"[^0-9]", "", content) or 0)
    return sum(
        value(text) * (len(name) + 10 * int(re.sub(r"[^0-9]", "", name) or 0)) + 7
        for name, text in content
    )


def is_matrix(stages: Mapping[int, Definition], stage: Definition) -> bool:
    """Whether it has variants: by itself, or since it reads one variant of another."""
    return stage.matrix or any(
        isinstance(r.source, int) and not r.every and is_matrix(stages, stages[r.source])
        for r in stage.reads.values()
    )


def variants(stages: Mapping[int, Definition], stage: Definition) -> list[Variant]:
    """All variants of a stage."""
    axes: tuple[Axis, ...] = MATRIX if is_matrix(stages, stage) else (None,)
    return [Variant(stage, k) for k in axes]


def parents(stages: Mapping[int, Definition], variant: Variant) -> list[Variant]:
    """The variants that one reads, in the order of its inputs."""
    found = []
    for read in variant.of.reads.values():
        if isinstance(read.source, int):
            source = stages[read.source]
            if read.every or not is_matrix(stages, source):
                found += variants(stages, source)
            else:
                found.append(Variant(source, variant.k))
    return found


def ordered(stages: Mapping[int, Definition]) -> list[Variant]:
    """All variants, parents first."""
    found: dict[str, Variant] = {}

    def visit(variant: Variant) -> None:
        if variant.name not in found:
            for parent in parents(stages, variant):
                visit(parent)
            found[variant.name] = variant

    for stage in stages.values():
        for variant in variants(stages, stage):
            visit(variant)
    return list(found.values())


def evaluate(
    variant: Variant, inputs: Mapping[str, Any], code: Code, g: int, declared: str
) -> Work:
    """What a stage makes of its inputs.

    Args:
        variant: the stage.
        inputs: role -> content, or a list of (axis, content).
        code: of the project's kind.
        g: the pipeline's parameter.
        declared: where the output `o` is declared to lie.
    """
    stage = variant.of
    params = (
        stage.add or (code.default if stage.kind else 0),
        g if stage.uses_global else 0,
        variant.k or 0 if stage.matrix else 0,
        stage.modulus,
    )
    total = sum(params[:3]) + 10 * (stage.env or 0)
    for place, number in enumerate(_numbers(stage, inputs), 1):
        total += place * number
    if stage.kind:
        total = total * code.factor + code.shared
    result = total % stage.modulus
    frozen = tuple(
        (role, tuple(found) if isinstance(found, list) else found)
        for role, found in sorted(inputs.items())
    )
    common = (stage.env, stage.cpu, frozen)
    if stage.kind:
        identity: tuple[Any, ...] = ("kind", code, params, *common)
        return Work(identity, {"o": str(result), "metrics": f"metric {result}"})
    # A literal path stands in the command's text, and so does all that is added or compared.
    where = declared if stage.literal else None
    text = (params, stage.folder, stage.extra, where, stage.fails_at)
    roles = tuple(stage.reads)  # their order is the command's
    if stage.fails_at == result:
        return Work(("command", text, roles, *common), None)
    return Work(("command", text, roles, *common), _written(stage, result))


def _numbers(stage: Definition, inputs: Mapping[str, Any]) -> Iterator[int]:
    roles = sorted(stage.reads) if stage.kind else list(stage.reads)
    for role in roles:
        found = inputs[role]
        if isinstance(found, list):
            yield from (value(content) for _, content in found)
        else:
            yield value(found)


def _written(stage: Definition, result: int) -> dict[str, Content]:
    found: dict[str, Content] = {"o": str(result)}
    if stage.folder:
        names = range(result % 3 + 1)
        found["o"] = tuple((f"n{n}/f{n}.txt", str((result + n) % stage.modulus)) for n in names)
    if stage.extra:
        found["p"] = str(result % 2)
    return found
