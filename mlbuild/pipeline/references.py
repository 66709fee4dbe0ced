"""What an input names: ``stage.output``, ``stage[axis=value].output``, a dataset or a path."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlbuild.pipeline.nodes import Node, shorten
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import HOLE

_STAGE = re.compile(r"([^\s\[\]./]+)(?:\[([^\[\]]*)\])?(?:\.([^\s\[\]./]+))?")
_FORMS = (
    *("STAGE.OUTPUT", "STAGE[AXIS=VALUE].OUTPUT"),
    *("datasets.NAME", "release.ARTIFACT", "./PATH"),
)
RESERVED = ("datasets", "release", "params", "matrix", "inputs", "outputs")


@dataclass(frozen=True, slots=True)
class ToStage:
    """An output of a stage; ``picks`` fix axes of its variants, perhaps by ``${{ matrix.x }}``."""

    stage: str
    output: str  # "" where only the stage is named (needs)
    picks: tuple[tuple[str, str], ...]
    node: Node

    @property
    def templated(self) -> bool:
        """Whether a pick differs from variant to variant of the stage that reads."""
        return any("${{" in value for _, value in self.picks)

    def __str__(self) -> str:
        picks = ",".join(f"{axis}={value}" for axis, value in self.picks)
        return (
            self.stage
            + (f"[{picks}]" if picks else "")
            + (f".{self.output}" if self.output else "")
        )


@dataclass(frozen=True, slots=True)
class ToDataset:
    """A dataset of the pipeline, or an artifact of its last release: ``release.model``."""

    name: str
    node: Node


@dataclass(frozen=True, slots=True)
class ToPath:
    """A file or folder, as it is written."""

    path: str
    node: Node


@dataclass(frozen=True, slots=True)
class PerVariant:
    """A path or dataset that is known only once ``${{ matrix.x }}`` is."""

    text: str
    node: Node


Reference = ToStage | ToDataset | ToPath | PerVariant


def parse(text: str, node: Node, where: str, problems: Problems) -> Reference | None:
    """The reference that ``text`` is; parameters stand in it no more, matrix axes may."""
    masked = HOLE.sub(lambda found: "\0" * len(found[0]), text)
    found = _STAGE.fullmatch(masked)
    if found is None or found.group(3) is None:
        if _is_path(masked):
            return PerVariant(text, node) if "\0" in masked else ToPath(text, node)
        if masked.strip("\0") == "":
            return PerVariant(text, node)
        _note_shapeless(text, found is not None and not found.group(2), node, where, problems)
        return None
    if "\0" in found[1] or "\0" in found[3]:
        if found[1] == "datasets":
            return PerVariant(text, node)
        message = f"{where}: a stage and its output are named by themselves, not by a matrix axis"
        hint = "axes may stand in brackets: stage[axis=${{ matrix.axis }}].output"
        problems.add(node, message, got=text, hint=hint)
        return None
    if found[1] == "datasets":
        return ToDataset(found[3], node)
    if found[1] == "release":
        return ToDataset(text, node)
    picks = _picks(text, found, node, where, problems)
    return None if picks is None else ToStage(found[1], found[3], picks, node)


def parse_need(text: str, node: Node, where: str, problems: Problems) -> ToStage | None:
    """A stage, or some variants of it, as ``needs`` names it."""
    masked = HOLE.sub(lambda found: "\0" * len(found[0]), text)
    found = _STAGE.fullmatch(masked)
    if found is None or found.group(3) is not None or "\0" in found[1]:
        hint = f"only the stage: '{found[1]}'" if found and found.group(3) else None
        problems.add(node, f"{where}: 'needs' names stages", got=f"'{shorten(text)}'", hint=hint)
        return None
    picks = _picks(text, found, node, where, problems)
    return None if picks is None else ToStage(found[1], "", picks, node)


def _is_path(masked: str) -> bool:
    return "/" in masked or masked in (".", "..")


def _picks(
    text: str, found: re.Match[str], node: Node, where: str, problems: Problems
) -> tuple[tuple[str, str], ...] | None:
    if found[2] is None:
        return ()
    inside = text[found.start(2) : found.end(2)]
    picks = []
    for part in inside.split(","):
        axis, equals, value = part.partition("=")
        if not equals or not axis.strip() or not value.strip():
            message = f"{where}: in brackets stands AXIS=VALUE, several with commas between"
            problems.add(node, message, got=f"'{shorten(text)}'")
            return None
        picks.append((axis.strip(), value.strip()))
    return tuple(picks)


def _note_shapeless(text: str, bare: bool, node: Node, where: str, problems: Problems) -> None:
    message = f"{where}: '{shorten(text)}' names no input"
    hint = f"a path begins with './': ./{text}" if bare or "." in text else None
    problems.add(node, message, allowed=_FORMS, hint=hint)
