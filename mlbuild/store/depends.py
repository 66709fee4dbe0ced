"""What a stage depends on, as far as DVC can see it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.lazily import lazily
from mlbuild.records import (
    DatasetRef,
    Digest,
    Input,
    Json,
    PathRef,
    ResolvedPipeline,
    Source,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.store.digests import Digests
from mlbuild.store.yaml12 import load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms

_UNKNOWN = Digest("")


class Dependencies:
    """Resolves the inputs of a pipeline's stages to paths and digests."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        records: Mapping[str, StageRecord],
        digests: Digests,
    ) -> None:
        self._pipeline = pipeline
        self._stages = {stage.name: stage for stage in pipeline.stages}
        self._records = records
        self._digests = digests

    def of(self, stage: Stage, record: StageRecord | None) -> dict[str, Digest]:
        """Path relative to the root -> what the stage read there.

        Args:
            stage: whose inputs.
            record: its result: the digests are those that it was built from, whatever lies there
                now. None: only the paths are wanted.
        """
        own = {out.path for out in stage.outputs}
        found: dict[str, Digest] = {}
        for source, md5 in _sources(stage, record):
            path = self._path(source)
            if path is None or path in own:
                continue
            found[path] = _UNKNOWN if record is None else self._digest(source, path, md5)
        return {path: digest for path, digest in found.items() if record is None or digest.md5}

    def _path(self, source: Source) -> str | None:
        if isinstance(source, StageOutput):
            return self._stages[source.stage].output(source.output).path
        if isinstance(source, DatasetRef):
            dataset = self._pipeline.datasets[source.name]
            return (
                inside(self._pipeline.root, dataset.location) if dataset.scheme == "path" else None
            )
        assert isinstance(source, PathRef)
        return inside(self._pipeline.root, source.path)

    def _digest(self, source: Source, path: str, md5: str | None) -> Digest:
        if isinstance(source, StageOutput) and source.stage in self._records:
            known = self._records[source.stage].outputs.get(source.output)
        else:
            known = self._digests.of(self._pipeline.root / path)
        if known is None:
            known = _tracked(self._pipeline.root / f"{path}.dvc")
        if known is not None and md5 in (None, known.md5):
            return known
        return Digest(md5 or "")


def inside(root: Path, path: str) -> str | None:
    """A path relative to the root, with '/'; None for what lies outside or is the root itself."""
    relative = os.path.relpath(os.path.join(root, path), root)  # noqa: PTH118 - keeps '..' and links
    if relative == "." or relative.startswith("../") or relative == "..":
        return None
    return relative


def _tracked(file: Path) -> Digest | None:
    """What a `.dvc` file says of data that is not here: a clone needs no data to be up to date."""
    try:
        (out,) = load(file.read_text("utf-8"))["outs"]
        return Digest(out["md5"], out["size"], out.get("nfiles"), bool(out.get("isexec")))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None


def _sources(stage: Stage, record: StageRecord | None) -> Iterator[tuple[Source, str | None]]:
    recorded: Json = record.parts.get("inputs", {}) if record else {}
    for role in stage.inputs:
        value = recorded.get(role.role)
        if role.many:
            yield from zip(role.sources, _variants(role, value or []), strict=True)
        else:
            yield from ((source, value) for source in role.sources)


def _variants(role: Input, recorded: Sequence[Json]) -> Iterator[str | None]:
    """The MD5 of each source of an ``{all: ...}`` list; None for a variant that a gate took out.

    What is recorded are [axes, MD5] of those that were read, in the order of the list.
    """
    left = list(recorded)
    for axes in role.axes or ((),) * len(role.sources):
        if left and dict(axes) == dict(left[0][0]):
            yield left.pop(0)[1]
        else:
            yield None
