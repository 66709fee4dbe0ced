"""What git knows of an earlier release: its ledger, its metrics, and what its tag tells.

Nothing of it needs the old release's folder, a network or the old artifacts; only the interface of
a model that was tagged by somebody else is read from the model itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mlbuild.records import Digest, Json, StageOutput, StageRecord
from mlbuild.release.artifacts import Built, is_model
from mlbuild.release.tags import record_in
from mlbuild.released import Tagged, file_at
from mlbuild.store.history import outputs_of
from mlbuild.store.ledger import record_of
from mlbuild.store.pins import SUFFIX
from mlbuild.store.sections import split
from mlbuild.store.yaml12 import load

# The interface of a released model, by the name of its file or folder and its digest, from wherever
# it can still be had; None where it cannot.
Interface = Callable[[str, Digest], Mapping[str, Json] | None]


@dataclass(frozen=True, slots=True)
class PastStage:
    """A stage as the ledger of the release's commit has it."""

    record: StageRecord
    paths: Mapping[str, str]  # of its outputs
    metrics: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PastArtifact:
    """An artifact of an earlier release."""

    type: str | None  # None: not known
    at: StageOutput
    md5: str
    size: int
    model: Mapping[str, Json] | None = None  # its interface


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier release."""

    tagged: Tagged
    stages: Mapping[str, PastStage]
    artifacts: Mapping[str, PastArtifact]
    card: str | None = None  # digest of its texts; None: not known


def past_of(built: Built, tagged: Tagged, wanted: Collection[str], interface: Interface) -> Past:
    """An earlier release of the same name.

    Args:
        built: the pipeline as it is now.
        tagged: which release.
        wanted: the stages whose metrics are compared.
        interface: reads a model's interface where the tag does not tell it.
    """
    root = built.pipeline.root
    record = record_in(root, tagged.tag) or {}
    here = built.pipeline.file.resolve().relative_to(root.resolve()).as_posix()
    file = str(record.get("pipeline") or here)
    stages = _stages(root, tagged.commit, file, wanted)
    artifacts = _told(record.get("artifacts"))
    if artifacts is None:
        artifacts = _recorded(built, tagged, stages, interface)
    card = record.get("card")
    return Past(tagged, stages, artifacts, str(card) if card else None)


def _stages(root: Path, commit: str, file: str, wanted: Collection[str]) -> dict[str, PastStage]:
    """The stages of one pipeline in the dvc.lock of a commit."""
    text = (file_at(root, commit, "dvc.lock") or b"").decode("utf-8", "replace")
    pins = f"{file.rpartition('.')[0]}{SUFFIX}"
    found: dict[str, PastStage] = {}
    for name, block in split(text).blocks.items() if text.strip() else ():
        if pins not in block:
            continue
        try:
            entry = load(block)[name]
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            continue
        row = record_of(entry, (file, pins))
        if row is not None:
            ((_, pin),) = entry["params"][pins].items()
            path = pin["paths"].get("metrics") if row[0] in wanted else None
            metrics = _metrics(root, commit, path)
            found[row[0]] = PastStage(row[1], pin["paths"], metrics)
    return found


def _metrics(root: Path, commit: str, path: str | None) -> Mapping[str, Json]:
    data = file_at(root, commit, path) if path else None
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(artifacts: Json) -> dict[str, PastArtifact] | None:
    """The artifacts as the tag's message tells of them."""
    if not isinstance(artifacts, Mapping):
        return None
    return {
        name: PastArtifact(
            row["type"],
            StageOutput(row["stage"], row["output"]),
            row["md5"],
            row["size"],
            row["model"],
        )
        for name, row in artifacts.items()
    }


def _recorded(
    built: Built, tagged: Tagged, stages: Mapping[str, PastStage], interface: Interface
) -> dict[str, PastArtifact]:
    """The artifacts as dvc.yaml and dvc.lock tell of them, of a tag that is not ours."""
    outs = {(s.name, out.name): out for s in built.pipeline.stages for out in s.outputs}
    found: dict[str, PastArtifact] = {}
    old = outputs_of(built.pipeline.root, tagged.name, tagged.commit)
    for name, at in built.spec.artifacts.items():
        if name in old:
            file, digest = old[name]
            kind = outs[at.stage, at.output].type
            model = interface(file, digest) if is_model(kind, file) else None
            found[name] = PastArtifact(None, at, digest.md5, digest.size, model)
    gone = old.keys() - found.keys() - {tagged.name}
    for name in sorted(gone):
        found[name] = PastArtifact(None, StageOutput("", ""), old[name][1].md5, old[name][1].size)
    return found
