"""The inputs of a kind: there, known, one or many, and of a type that fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlbuild.pipeline.draft import Draft, Wire
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToStage

if TYPE_CHECKING:
    from mlbuild.api import In


def check_inputs(draft: Draft, drafts: Mapping[str, Draft], problems: Problems) -> None:
    """Notes what does not fit between a stage of a kind and what it reads."""
    if draft.loaded is None:
        return
    name, wanted = draft.loaded.name, draft.loaded.kind.inputs
    given = {wire.role for wire in draft.wires}
    for wire in draft.wires:
        spec = wanted.get(wire.role)
        if spec is None and draft.loaded.kind.open:
            continue
        if spec is None:
            message = f"{draft.where}: kind '{name}' has no input '{wire.role}'"
            hint = None if wanted else "it takes no inputs"
            problems.add(wire.key, message, allowed=wanted, word=wire.role, hint=hint)
            continue
        _check_number(draft, wire, spec, problems)
        _check_types(draft, wire, spec, drafts, problems)
    section = draft.node.entries.get("inputs")
    for role, spec in wanted.items():
        if role not in given and not spec.optional:
            at = section.key if section is not None else draft.key
            message = f"{draft.where}: input '{role}' is missing"
            problems.add(at, message, hint=f"{role}: {spec.type}. {spec.help}")


def _check_number(draft: Draft, wire: Wire, spec: In, problems: Problems) -> None:
    if not wire.references or wire.many == spec.many:
        return
    node = wire.references[0].node
    where = f"{draft.where}: input '{wire.role}'"
    if spec.many:
        problems.add(node, f"{where} takes a list", hint=f"{wire.role}: {{all: REFERENCE}}")
    else:
        hint = "name it without 'all': the stage is then expanded with what it reads"
        problems.add(node, f"{where} takes one artifact, not a list", hint=hint)


def _check_types(
    draft: Draft, wire: Wire, spec: In, drafts: Mapping[str, Draft], problems: Problems
) -> None:
    from mlbuild.api import accepts  # lazy: pydantic; whoever has a kind has paid for it

    if wire.type is not None and wire.references and not accepts(spec.types, wire.type):
        wanted = " or ".join(spec.types)
        message = f"{draft.where}: input '{wire.role}' takes {wanted}, not {wire.type}"
        problems.add(wire.references[0].node, message)
        return
    for link in wire.references:
        if not isinstance(link, ToStage):
            continue
        given = (drafts[link.stage].outputs or {}).get(link.output, "Any")
        if accepts(spec.types, given):
            continue
        fits = [
            f"{other.name}.{output}"
            for other in drafts.values()
            for output, kind in (other.outputs or {}).items()
            if kind != "Any" and other is not draft and accepts(spec.types, kind)
        ]
        wanted = " or ".join(spec.types)
        message = (
            f"{draft.where}: input '{wire.role}' takes {wanted}, "
            f"but '{link.stage}.{link.output}' is {given}"
        )
        hint = f"of that type: {', '.join(fits[:6])}" if fits else None
        problems.add(link.node, message, hint=hint)
