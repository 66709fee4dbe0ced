"""The artifacts of a release: what the ledger records of them, and every byte held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild import gates
from mlbuild.errors import DataError, Problem, UsageError
from mlbuild.records import (
    Digest,
    Json,
    ReleaseSpec,
    ResolvedPipeline,
    Stage,
    StageOutput,
    StageRecord,
    StageResult,
)
from mlbuild.release.facts import ReleasedArtifact, ReleasedFile
from mlbuild.store.project import Store

# What is inside the model of that MD5 at that place, as `mlbuild inspect --json` tells it.
Inspect = Callable[[str, Path], Mapping[str, Json]]
MODEL_TYPES = ("CoreMLModel",)
_SUFFIXES = (".mlpackage", ".mlmodel")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Built:
    """A pipeline whose results all lie in place, as the ledger records them."""

    pipeline: ResolvedPipeline
    store: Store
    results: Mapping[str, StageResult]  # of the build, by stage
    meanings: Callable[[str], Mapping[str, Mapping[str, Json]]]  # of a kind's metrics
    profiles: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    @property
    def spec(self) -> ReleaseSpec:
        """The `release:` section."""
        return spec_of(self.pipeline)


def spec_of(pipeline: ResolvedPipeline) -> ReleaseSpec:
    """The `release:` section.

    Raises:
        UsageError: the pipeline has none.
    """
    if pipeline.release is None:
        what = f"pipeline '{pipeline.name}' does not say what is released"
        hint = "add it to the file: release: {artifacts: {model: STAGE.OUTPUT}}"
        raise UsageError(Problem(what, hint=hint))
    return pipeline.release


def artifact(
    built: Built, name: str, at: StageOutput, record: StageRecord, inspect: Inspect
) -> ReleasedArtifact:
    """One artifact, read whole.

    Raises:
        DataError: its bytes are not those of the ledger.
    """
    root = built.pipeline.root
    stage = next(s for s in built.pipeline.stages if s.name == at.stage)
    out, digest = stage.output(at.output), record.outputs[at.output]
    path = f"artifacts/{name}/{out.path.rpartition('/')[2]}"
    files = tuple(_files(built.store, root / out.path, path, digest))
    model = inspect(digest.md5, root / out.path) if is_model(out.type, out.path) else None
    return ReleasedArtifact(
        name=name,
        path=path,
        source=out.path,
        type=out.type,
        stage=at.stage,
        output=at.output,
        key=record.key,
        md5=digest.md5,
        size=sum(file.size for file in files),
        files=files,
        model=model,
    )


def _files(store: Store, place: Path, path: str, digest: Digest) -> Iterator[ReleasedFile]:
    """Every byte is read: the ledger's digest must be that of what is released."""
    if not digest.md5.endswith(".dir"):
        yield _file(place, path, digest.md5)
        return
    found = store.digests.of(place)
    if found is None or found.md5 != digest.md5:
        raise _spoiled(place, digest.md5)
    for name, md5 in sorted(store.digests.listing(place).items()):
        yield _file(place / name, f"{path}/{name}", md5)


def _file(place: Path, path: str, md5: str) -> ReleasedFile:
    size, sha, check = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with place.open("rb") as stream:
        while piece := stream.read(_PIECE):
            size += len(piece)
            sha.update(piece)
            check.update(piece)
    if check.hexdigest() != md5:
        raise _spoiled(place, md5)
    return ReleasedFile(path, size, sha.hexdigest())


def _spoiled(place: Path, md5: str) -> DataError:
    what = f"{place} does not hold what the ledger records ({md5})"
    return DataError(Problem(what, hint="delete it, and restore it with mlbuild run --locked"))


def metrics_of(root: Path, stage: Stage) -> Mapping[str, Json]:
    """What a stage recorded, as it lies in place."""
    out = next((o for o in stage.outputs if o.role == "metrics"), None)
    return gates.read_metrics(root / out.path) if out else {}


def is_model(kind: str, path: str) -> bool:
    """Whether an artifact is a Core ML model, whose interface can be read."""
    return kind in MODEL_TYPES or path.endswith(_SUFFIXES)
