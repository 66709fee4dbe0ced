"""Inputs that are led through a stage of another kind, which the engine puts in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlbuild.errors import PipelineError
from mlbuild.pipeline.draft import Draft, Wire, outputs_of
from mlbuild.pipeline.kinds import Kinds
from mlbuild.pipeline.nodes import Entry, Mapped, Scalar
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import PerVariant, Reference, ToStage
from mlbuild.pipeline.typed import Datasets, type_of

if TYPE_CHECKING:
    from mlbuild.api import Through

# What a stage says of the process that does its work holds for what is put in before it.
_SHARED = ("resources", "env", "secrets", "timeout_minutes", "retries")


def lead_through(
    drafts: dict[str, Draft], datasets: Datasets, kinds: Kinds, problems: Problems
) -> None:
    """Puts a stage before each input whose kind wants one for its type."""
    for draft in list(drafts.values()):
        for role, through in draft.loaded.kind.through.items() if draft.loaded else ():
            wire = next((w for w in draft.wires if w.role == role), None)
            if wire is not None:
                _lead(draft, wire, through, drafts, datasets, kinds, problems)


def _lead(
    draft: Draft,
    wire: Wire,
    through: Through,
    drafts: dict[str, Draft],
    datasets: Datasets,
    kinds: Kinds,
    problems: Problems,
) -> None:
    from mlbuild.api import accepts  # lazy: pydantic; whoever has a kind has paid for it

    wanted = tuple(t.strip() for t in through.types.split("|"))
    led = list(wire.references)
    for number, reference in enumerate(wire.references):
        given = type_of(reference, wire, drafts, datasets)
        if given == "Any" or not accepts(wanted, given):
            continue
        several = f"-{number + 1}" if len(wire.references) > 1 else ""
        name = f"{draft.name}-{wire.role}{several}"
        if name in drafts:
            message = f"{draft.where} puts in a stage '{name}' for this input, which there is"
            problems.add(reference.node, message, hint=f"rename stage '{name}'")
            return
        made = _stage(name, draft, wire, reference, through, kinds, problems)
        if made is None:
            return
        drafts[name] = made
        led[number] = ToStage(name, through.output, (), reference.node)
    if led != wire.references:
        wire.references, wire.type, wire.trust = led, None, False


def _stage(
    name: str,
    draft: Draft,
    wire: Wire,
    reference: Reference,
    through: Through,
    kinds: Kinds,
    problems: Problems,
) -> Draft | None:
    try:
        loaded = kinds.get(through.kind)
    except PipelineError as error:
        for problem in error.problems:
            problems.add(reference.node, f"{draft.where}: {problem.message}", hint=problem.hint)
        return None
    own = Wire(through.role, [reference], False, wire.trust, wire.key, wire.type)
    shared = [
        Wire(w.role, list(w.references), w.many, w.trust, w.key, w.type)
        for w in draft.wires
        if w.role in through.inputs
    ]
    made = Draft(name, draft.key, _node(draft, through), loaded=loaded, wires=[own, *shared])
    made.needs, made.broken = list(draft.needs), draft.broken
    made.outputs = outputs_of(loaded)
    if _by_matrix(made):  # its inputs are named by axes of the stage that it stands before
        made.matrix = draft.matrix
        if "matrix" in draft.node.entries:
            made.node.entries["matrix"] = draft.node.entries["matrix"]
    return made


def _by_matrix(draft: Draft) -> bool:
    return any(
        isinstance(r, PerVariant) or (isinstance(r, ToStage) and r.templated)
        for wire in draft.wires
        for r in wire.references
    )


def _node(draft: Draft, through: Through) -> Mapped:
    """The stage as the file would have it."""
    at = draft.key
    node = Mapped(at.source, at.line, at.column)
    for key in _SHARED:
        if key in draft.node.entries:
            node.entries[key] = draft.node.entries[key]
    given = draft.node.get("with")
    if isinstance(given, Mapped):
        inner = Mapped(given.source, given.line, given.column)
        for name, other in through.params.items():
            if name in given.entries:
                entry = given.entries[name]
                inner.entries[other] = Entry(_renamed(entry.key, other), entry.value)
        node.entries["with"] = Entry(draft.node.entries["with"].key, inner)
    return node


def _renamed(key: Scalar, name: str) -> Scalar:
    return Scalar(key.source, key.line, key.column, name)
