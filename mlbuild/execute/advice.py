"""How undeclared reads are told: what was read, and the line that declares it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from mlbuild.execute.undeclared import Found
from mlbuild.records import Failure, Stage

SHOWN = 10  # of one stage; the rest stands in its log
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./=+@-]*")  # what YAML needs no quotes for
_UNNAMED = re.compile(r"[^A-Za-z0-9]+")


def input_lines(stage: Stage, references: Iterable[str]) -> Iterator[str]:
    """For each reference the line that declares it below the stage's ``inputs:``."""
    taken = {item.role for item in stage.inputs}
    for reference in references:
        name = _free(_role(reference), taken)
        taken.add(name)
        plain = _PLAIN.fullmatch(reference)
        yield f"{name}: {reference if plain else json.dumps(reference, ensure_ascii=False)}"


def warnings(stage: Stage, found: Sequence[Found]) -> Iterator[str]:
    """One sentence for each thing that a stage read and does not declare."""
    for item, line in zip(found, input_lines(stage, (f.reference for f in found)), strict=True):
        yield (
            f"{stage.name} {_did(item)}, which it does not declare; "
            f"add to its inputs: {line}{_for_kind(stage, item.reference)}"
        )


def shortened(stage: Stage, lines: Sequence[str], log: object) -> list[str]:
    """The first of the sentences, and how many more there are."""
    if len(lines) <= SHOWN:
        return list(lines)
    more = f"{stage.name} read {len(lines) - SHOWN} more that it does not declare (see {log})"
    return [*lines[:SHOWN], more]


def refusal(stage: Stage, references: Sequence[str], *, remembered: bool = False) -> Failure:
    """What fails a stage with ``strict: true``.

    Args:
        stage: which one.
        references: what it reads and does not declare.
        remembered: it read them when it ran, which it did not do now.
    """
    named = [r.removeprefix("./") for r in references[:SHOWN]]
    more = [f"and {len(references) - SHOWN} more"] if len(references) > SHOWN else []
    when = "when it ran, it read" if remembered else "it read"
    hint = "add to its inputs: " + "; ".join(list(input_lines(stage, references))[:SHOWN])
    hint += _for_kind(stage, references[0])
    if remembered:
        hint += f". If it does not read them any more: --force {stage.name}"
    return Failure(
        f"{when} what it does not declare (strict: true): {', '.join(named + more)}", hint
    )


def remark(references: Sequence[str]) -> str:
    """What `status` says of a stage that reads what it does not declare."""
    named = [r.removeprefix("./") for r in references[:SHOWN]]
    more = [f"and {len(references) - SHOWN} more"] if len(references) > SHOWN else []
    return f"reads what it does not declare: {', '.join(named + more)}"


def _did(item: Found) -> str:
    name = item.reference.removeprefix("./")
    if not item.reference.startswith("./"):
        return f"read {name}"
    if not name.endswith("/"):
        return f"read {name}"
    if item.files == 0:
        return f"listed the folder {name}"
    return f"read {item.files:,} file{'' if item.files == 1 else 's'} below {name}"


def _for_kind(stage: Stage, reference: str) -> str:
    """What else has to be done where the inputs are those of a kind."""
    if stage.kind is None:
        return ""
    if reference.startswith("./stages/"):
        return f" (or let its kind {stage.kind} import it from stages/_shared/)"
    return f" (its kind {stage.kind} has to take that input)"


def _role(reference: str) -> str:
    if reference.startswith("./"):
        path = PurePosixPath(reference)
        stem = path.name.split(".")[0] or path.name.lstrip(".")
        text = path.parent.name if stem == "__init__" else stem
    else:
        text = reference.rpartition(".")[2]
    name = _UNNAMED.sub("_", text).strip("_")
    return name if name[:1].isalpha() else f"input_{name}".rstrip("_")


def _free(name: str, taken: set[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
