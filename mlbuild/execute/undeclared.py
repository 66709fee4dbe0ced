"""Which of a stage's reads it does not declare, told as what its `inputs:` would have to name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlbuild.execute.reads import Access
from mlbuild.records import ResolvedPipeline, Stage

_MANY = 5  # files below a folder: from then on the folder is told instead
_OWN_PLACES = frozenset({".git", ".dvc", ".mlbuild"})
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")  # what a folder holds that is one
_INSIDE = os.fspath(Path(__file__).parent)


class Found(NamedTuple):
    """Something that a stage reads and does not declare."""

    reference: str  # as an input names it: "./data/", "train.model", "datasets.photos"
    files: int  # how many were read; 0: the folder was only listed


@dataclass(frozen=True)
class Project:
    """What lies where in a project, so that reads can be told by their names."""

    pipeline: ResolvedPipeline

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The project as it is named and as it is after following links."""
        root = os.fspath(self.pipeline.root)
        return tuple(dict.fromkeys((root, os.path.realpath(root))))

    @cached_property
    def makers(self) -> Mapping[str, tuple[Stage, str]]:
        """Path of each output -> whose it is."""
        return {o.path: (stage, o.name) for stage in self.pipeline.stages for o in stage.outputs}

    @cached_property
    def datasets(self) -> Mapping[str, str]:
        """Path of each dataset that lies in the project -> its name."""
        found = {}
        for dataset in self.pipeline.datasets.values():
            if dataset.scheme == "path":
                path = self.relative(os.path.join(self.roots[0], dataset.location))
                found[path or ""] = dataset.name
        return found

    @cached_property
    def above_outputs(self) -> frozenset[str]:
        """Folders that hold outputs: no input can name them."""
        return frozenset(above for path in self.makers for above in _parents(path))

    def relative(self, path: str) -> str | None:
        """The path below the root; None where it lies elsewhere."""
        path = os.path.normpath(path)
        for root in self.roots:
            if path.startswith(root.rstrip("/") + "/"):
                return path[len(root.rstrip("/")) + 1 :]
        return None

    def undeclared(
        self, stage: Stage, accesses: Iterable[Access], allowed: Iterable[Path], began: int
    ) -> tuple[Found, ...]:
        """What a stage read besides what it may.

        Args:
            stage: which one.
            accesses: what its processes read.
            allowed: files and folders: its inputs, its code, its places.
            began: when it did. What changed later, and is no other stage's, it made by itself.
        """
        return _Reading(self, stage, _both(allowed), began).of(accesses)


@dataclass
class _Reading:
    """One stage's reads, sorted by what they are."""

    project: Project
    stage: Stage
    allowed: frozenset[str]
    began: int
    named: dict[str, int] = field(default_factory=dict)  # outputs and datasets -> files
    files: set[str] = field(default_factory=set)  # relative to the root
    listed: set[str] = field(default_factory=set)
    real: dict[str, str] = field(default_factory=dict)  # folders, links followed
    environments: dict[str, bool] = field(default_factory=dict)

    def of(self, accesses: Iterable[Access]) -> tuple[Found, ...]:
        """What of them is not declared, outputs and datasets first."""
        seen = set()
        for access in accesses:
            if access[:2] not in seen:
                seen.add(access[:2])
                self._sort(access)
        named = [Found(reference, count) for reference, count in sorted(self.named.items())]
        return (*named, *_folded(self.files, self.listed, self.project.above_outputs))

    def _sort(self, access: Access) -> None:
        path = self.project.relative(access.path)
        if path is None or _within(access.path, self.allowed):
            return
        real = self._real(access.path)
        if _within(real, self.allowed) or self._is_machinery(path):
            return
        name = self._name(path) or self._name(self.project.relative(real))
        if name is not None:
            self.named[name] = self.named.get(name, 0) + (not access.listed)
        elif access.changed < self.began or not access.changed:
            (self.listed if access.listed else self.files).add(path)

    def _name(self, path: str | None) -> str | None:
        """The output or dataset that a path is, or lies in."""
        for above in (path, *_parents(path)) if path else ():
            if above in self.project.makers:
                maker, output = self.project.makers[above]
                return f"{_called(maker, self.stage)}.{output}"
            if above in self.project.datasets:
                return f"datasets.{self.project.datasets[above]}"
        return None

    def _is_machinery(self, path: str) -> bool:
        parts = path.split("/")
        if not _OWN_PLACES.isdisjoint(parts) or (parts[0] == "build" and ".work" in parts):
            return True
        return any(self._is_environment(above) for above in _parents(path))

    def _is_environment(self, folder: str) -> bool:
        if folder not in self.environments:
            place = os.path.join(self.project.roots[0], folder)
            found = any(os.path.exists(os.path.join(place, name)) for name in _ENVIRONMENT)
            self.environments[folder] = found
        return self.environments[folder]

    def _real(self, path: str) -> str:
        folder, name = os.path.split(path)
        if os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self.real:
            self.real[folder] = os.path.realpath(folder)
        return os.path.join(self.real[folder], name)


def _called(maker: Stage, reader: Stage) -> str:
    """A variant by its stage's name, where the reader is paired with it by their axes."""
    return maker.base if set(maker.axes) <= set(reader.axes) else maker.name


def _both(paths: Iterable[Path]) -> frozenset[str]:
    """Each path as it is named and as it is after following links."""
    named = {os.path.abspath(p) for p in paths} | {_INSIDE}
    return frozenset(named | {os.path.realpath(p) for p in named})


def _within(path: str, places: frozenset[str]) -> bool:
    return path in places or any(above in places for above in _parents(path))


def _parents(path: str) -> list[str]:
    """The folders above a path, nearest first, without the root."""
    found = []
    while (end := path.rfind("/")) > 0:
        path = path[:end]
        found.append(path)
    return found


def _folded(files: set[str], listed: set[str], above_outputs: frozenset[str]) -> list[Found]:
    """Files one by one, or as the folder that they lie in where they are many."""
    count: dict[str, int] = {}
    for path in files:
        for above in _parents(path):
            count[above] = count.get(above, 0) + 1
    fullest: dict[str, int] = {}  # folder -> the most that a single folder in it holds
    for folder, number in count.items():
        above = folder.rpartition("/")[0]
        fullest[above] = max(number, fullest.get(above, 0))
    many = {f for f, number in count.items() if number >= _MANY and fullest.get(f) != number}
    folders = (listed | many) - above_outputs
    outer = {f for f in folders if folders.isdisjoint(_parents(f))}
    found = [Found(f"./{f}/", count.get(f, 0)) for f in outer]
    found += [Found(f"./{f}", 1) for f in files if outer.isdisjoint(_parents(f))]
    return sorted(found)
