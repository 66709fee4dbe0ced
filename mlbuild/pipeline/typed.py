"""Of what type an input is, and what that decides: the toolchain and the code of a kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlbuild.pipeline.draft import Draft, Wire
from mlbuild.pipeline.nodes import Mapped, Scalar
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import Reference, ToDataset, ToPath, ToStage
from mlbuild.records import Dataset

if TYPE_CHECKING:
    from mlbuild.api import ByInput

Drafts = Mapping[str, Draft]
Datasets = Mapping[str, Dataset | None]


def type_of(reference: Reference, wire: Wire, drafts: Drafts, datasets: Datasets) -> str:
    """The type of what ``reference`` names; "Any" where neither file nor suffix tells."""
    from mlbuild.api import type_of_path  # lazy: pydantic; whoever has a kind has paid for it

    if wire.type is not None:
        return wire.type
    if isinstance(reference, ToStage):
        given = (drafts[reference.stage].outputs or {}).get(reference.output, "Any")
        return _of_declared(drafts[reference.stage], reference.output) if given == "Any" else given
    if isinstance(reference, ToDataset):
        dataset = datasets.get(reference.name)
        if dataset is not None and dataset.scheme == "release":
            made = drafts.get(str(dataset.options["stage"]))
            return (made.outputs or {} if made else {}).get(str(dataset.options["output"]), "Any")
        return "Any" if dataset is None else type_of_path(_told_by(dataset))
    return type_of_path(reference.path if isinstance(reference, ToPath) else reference.text)


def _of_declared(draft: Draft, output: str) -> str:
    """What the path of a command's output tells."""
    from mlbuild.api import type_of_path  # lazy: as above

    section = draft.node.get("outputs")
    node = section.get(output) if isinstance(section, Mapped) else None
    at = node.get("path") if isinstance(node, Mapped) else node
    path = at.value if isinstance(at, Scalar) else None
    return type_of_path(path) if isinstance(path, str) else "Any"


def _told_by(dataset: Dataset) -> str:
    files = dataset.options.get("files") or dataset.options.get("path")
    if isinstance(files, str):
        return files
    return dataset.location.partition("#")[0].partition("?")[0] if not files else ""


def decide_toolchains(drafts: Drafts, datasets: Datasets, problems: Problems) -> None:
    """Settles the toolchain of every stage whose kind leaves it to the type of an input."""
    for draft in drafts.values():
        if draft.loaded is None:
            continue
        choice = draft.loaded.kind.toolchain
        if isinstance(choice, str):
            draft.toolchain = choice
        else:
            _decide(draft, choice, drafts, datasets, problems)


def _decide(
    draft: Draft, choice: ByInput, drafts: Drafts, datasets: Datasets, problems: Problems
) -> None:
    from mlbuild.api import run_file  # lazy: as above

    wire = next((w for w in draft.wires if w.role == choice.role), None)
    if wire is None or not wire.references:
        return  # a missing input is told elsewhere
    given = dict.fromkeys(type_of(r, wire, drafts, datasets) for r in wire.references)
    found = {kind: choice.of(kind) for kind in given}
    at, where = wire.references[0].node, f"{draft.where}: input '{wire.role}'"
    if "Any" in found:
        message = f"{where}: nothing says of what type it is, which decides the toolchain"
        hint = f"{wire.role}: {{from: REFERENCE, type: TYPE}}"
        problems.add(at, message, allowed=choice.toolchains, hint=hint)
    elif len(dict.fromkeys(found.values())) > 1:
        told = " and ".join(given)
        problems.add(at, f"{where} mixes types of several toolchains", got=told)
    else:
        kind, tool = next(iter(found.items()))
        if tool is not None:
            draft.toolchain, draft.run = tool, run_file(tool)
        elif not isinstance(wire.references[0], ToStage):  # a stage's output is checked elsewhere
            message = f"{where} takes {' or '.join(choice.toolchains)}, but this is {kind}"
            problems.add(at, message, hint=f"{wire.role}: {{from: REFERENCE, type: TYPE}}")
