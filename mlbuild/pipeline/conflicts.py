"""Paths that get in each other's way, and paths where nothing lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import nearest
from mlbuild.pipeline.nodes import Node
from mlbuild.pipeline.paths import is_there, parents, project_path
from mlbuild.pipeline.problems import Problems


@dataclass(frozen=True, slots=True)
class Made:
    """A path that a stage writes."""

    path: str
    output: str  # "stage.output"
    where: str  # "stage 'quantize'"
    node: Node


@dataclass(frozen=True, slots=True)
class Read:
    """A path that a stage reads, a dataset, or the pipeline file itself."""

    path: str
    what: str  # "stage 'notes': input 'code'", "dataset 'photos'"
    node: Node | None
    dataset: bool = False


def check_made(made: Iterable[Made], problems: Problems) -> dict[str, Made]:
    """Notes paths that two stages write, or that lie in one another; returns all by path."""
    by_path: dict[str, Made] = {}
    for item in made:
        other = by_path.setdefault(item.path, item)
        if other is not item and not problems.has(item.node):
            message = f"{item.where} and {other.where} both write '{item.path}'"
            problems.add(item.node, message, hint="give each its own path")
    for item in by_path.values():
        for above in parents(item.path):
            if above in by_path:
                outer = by_path[above]
                message = f"{item.where} writes '{item.path}' inside '{above}' of {outer.where}"
                problems.add(item.node, message, hint="give each its own path")
                break
    return by_path


def check_read(
    read: Iterable[Read], made: Mapping[str, Made], root: Path, problems: Problems
) -> None:
    """Notes reading what a stage writes by its path, and paths where nothing lies."""
    above_made: dict[str, Made] = {}
    for item in made.values():
        for above in parents(item.path):
            above_made.setdefault(above, item)
    there: dict[str, bool] = {}
    for one in read:
        path = project_path(one.path, root)
        maker = made.get(path)
        if maker is not None:
            _note_made(one, maker, problems)
            continue
        outer = next((made[above] for above in parents(path) if above in made), None)
        inner = above_made.get(path)
        if outer is not None:
            message = f"{one.what}: '{path}' lies in '{outer.path}', which {outer.where} writes"
            problems.add(one.node or outer.node, message, hint=f"name it as {outer.output}")
        elif inner is not None:
            message = f"{one.what}: '{path}' holds '{inner.path}', which {inner.where} writes"
            hint = "read a smaller folder, or write somewhere else"
            problems.add(one.node or inner.node, message, hint=hint)
        elif one.node is not None and not there.setdefault(path, is_there(path, root)):
            _note_missing(one, path, root, problems)


def _note_made(one: Read, maker: Made, problems: Problems) -> None:
    message = f"{one.what}: '{maker.path}' is what {maker.where} writes"
    if one.node is None or one.dataset:
        problems.add(maker.node, message, hint="give the output another path")
    else:
        problems.add(one.node, message, hint=f"name it as {maker.output}")


def _nearest_path(path: Path) -> Path | None:
    """The path with its first missing part put right, if something close lies there."""
    for part in (*reversed(path.parents), path):
        if part.exists():
            continue
        try:
            beside = [p.name for p in sorted(part.parent.iterdir())[:1000]]
        except OSError:
            return None
        close = nearest(part.name, beside)
        return part.parent / close / path.relative_to(part) if close else None
    return None


def _note_missing(one: Read, path: str, root: Path, problems: Problems) -> None:
    close = _nearest_path(root / path)
    hint = f"did you mean '{project_path(str(close), root)}'?" if close else None
    if hint is None and not Path(path).is_absolute():
        hint = f"paths are relative to the project root, {root}"
    problems.add(one.node, f"{one.what}: there is nothing at '{path}'", hint=hint)
