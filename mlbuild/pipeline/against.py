"""Gates that compare with the last release: the released model is measured on today's samples.

A stage with such a gate gets a twin, ``<stage>-release``, that reads the released artifact in place
of the one that would be released next. It is an ordinary stage, cached and shown like any other; as
long as there is no release it is excluded.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.pipeline import keys
from mlbuild.pipeline.draft import Draft, Wire
from mlbuild.pipeline.nodes import Entry, Mapped
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import Reference, ToDataset, ToStage
from mlbuild.records import TWIN

_UNSHARED = ("gates", "inputs", "needs")


def add_twins(
    drafts: dict[str, Draft], artifacts: Mapping[str, ToStage], problems: Problems
) -> None:
    """Puts a twin beside each stage that is held against the last release and reads it."""
    for draft in list(drafts.values()):
        if not _compares(draft.node.get("gates")) or draft.loaded is None:
            continue
        wires = [_replaced(wire, artifacts) for wire in draft.wires]
        if all(new is old for new, old in zip(wires, draft.wires, strict=True)):
            continue  # held against what the release recorded
        name = f"{draft.name}{TWIN}"
        if name in drafts:
            message = f"{draft.where} puts in a stage '{name}' for its gates, which there is"
            problems.add(draft.key, message, hint=f"rename stage '{name}'")
            continue
        drafts[name] = _twin(name, draft, wires)
        draft.needs.append(ToStage(name, "", (), draft.key))


def _twin(name: str, draft: Draft, wires: list[Wire]) -> Draft:
    node = Mapped(draft.node.source, draft.node.line, draft.node.column)
    node.entries = {k: v for k, v in draft.node.entries.items() if k not in _UNSHARED}
    node.entries["gates"] = Entry(draft.key, Mapped(node.source, node.line, node.column))
    twin = Draft(name, draft.key, node, draft.loaded, wires=wires)
    twin.matrix, twin.outputs = draft.matrix, draft.outputs
    twin.needs, twin.broken = list(draft.needs), draft.broken
    return twin


def _replaced(wire: Wire, artifacts: Mapping[str, ToStage]) -> Wire:
    """The wire with released artifacts in place of those that it reads now."""
    found = [_released(reference, artifacts) for reference in wire.references]
    if found == wire.references:
        return wire
    return Wire(wire.role, found, wire.many, wire.trust, wire.key, wire.type)


def _released(reference: Reference, artifacts: Mapping[str, ToStage]) -> Reference:
    if isinstance(reference, ToStage):
        for name, link in artifacts.items():
            same = (link.stage, link.output, link.picks)
            if same == (reference.stage, reference.output, reference.picks):
                return ToDataset(f"release.{name}", reference.node)
    return reference


def _compares(gates: object) -> bool:
    return isinstance(gates, Mapped) and any(
        isinstance(gate.value, Mapped) and any(limit in gate.value.entries for limit in keys.SINCE)
        for gate in gates.entries.values()
    )
