"""Names of stages, outputs and datasets that inputs and ``needs`` speak of."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.pipeline.draft import Draft
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToDataset, ToStage


def check_links(
    drafts: Mapping[str, Draft],
    off: set[str],
    datasets: Mapping[str, object],
    problems: Problems,
) -> None:
    """Notes stages, outputs and datasets that are named but are not there; drops those links."""
    for draft in drafts.values():
        for wire in draft.wires:
            where = f"{draft.where}: input '{wire.role}'"
            kept = []
            for reference in wire.references:
                if isinstance(reference, ToStage):
                    good = _known_stage(reference, where, drafts, off, problems)
                    good = good and _known_output(reference, where, drafts, problems)
                elif isinstance(reference, ToDataset):
                    good = _known_dataset(reference, where, datasets, problems)
                else:
                    good = True
                if good:
                    kept.append(reference)
            wire.references = kept
        where = f"{draft.where}: 'needs'"
        draft.needs = [n for n in draft.needs if _known_stage(n, where, drafts, off, problems)]


def _known_stage(
    link: ToStage, where: str, drafts: Mapping[str, Draft], off: set[str], problems: Problems
) -> bool:
    if link.stage in drafts:
        return True
    if link.stage in off:
        problems.add(link.node, f"{where}: stage '{link.stage}' is off: its 'if' is false")
    else:
        path = f"a file beside the project root is written ./{link}" if link.output else None
        message = f"{where}: unknown stage '{link.stage}'"
        problems.add(link.node, message, allowed=drafts, word=link.stage, hint=path)
    return False


def _known_output(
    link: ToStage, where: str, drafts: Mapping[str, Draft], problems: Problems
) -> bool:
    outputs = drafts[link.stage].outputs
    if outputs is None or link.output in outputs:
        return True
    message = f"{where}: stage '{link.stage}' has no output '{link.output}'"
    hint = None if outputs else "it declares no outputs"
    problems.add(link.node, message, allowed=outputs, word=link.output, hint=hint)
    return False


def _known_dataset(
    link: ToDataset, where: str, datasets: Mapping[str, object], problems: Problems
) -> bool:
    if link.name in datasets:
        return True
    if link.name.startswith("release."):
        return _no_artifact(link, where, datasets, problems)
    hint = None if datasets else "the file has no 'datasets'"
    message = f"{where}: unknown dataset '{link.name}'"
    problems.add(link.node, message, allowed=datasets, word=link.name, hint=hint)
    return False


def _no_artifact(
    link: ToDataset, where: str, datasets: Mapping[str, object], problems: Problems
) -> bool:
    artifacts = [name for name in datasets if name.startswith("release.")]
    message = f"{where}: the release has no artifact '{link.name.removeprefix('release.')}'"
    hint = None if artifacts else "name it: release: {artifacts: {model: STAGE.OUTPUT}}"
    problems.add(link.node, message, allowed=artifacts, word=link.name, hint=hint)
    return False
