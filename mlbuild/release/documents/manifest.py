"""manifest.json: what a release is, and the SHA-256 of every file of its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlbuild.records import Json
from mlbuild.release.facts import LAYOUT, ReleasedArtifact, ReleasedFile, ReleaseFacts, StageFacts

# Of each layer: long, and told by the card and by the model itself.
_BY_LAYER = ("weights", "multiply_adds_by_layer")


def manifest(facts: ReleaseFacts, files: Iterable[ReleasedFile]) -> dict[str, Json]:
    """The manifest.

    Args:
        facts: of the release.
        files: every file of the folder but the manifest and the signature.
    """
    return {
        "version": LAYOUT,
        "name": facts.name,
        "release": facts.version,
        "tag": facts.tag,
        "previous": facts.previous,
        "previous_commit": facts.previous_commit,
        "reason": facts.reason,
        "commit": facts.commit,
        "repository": facts.repository,
        "directory": facts.directory,
        "pipeline": facts.pipeline,
        "profiles": list(facts.profiles),
        "set": list(facts.sets),
        "params": facts.params,
        "artifacts": [_artifact(artifact) for artifact in facts.artifacts],
        "files": sorted(files, key=lambda file: file.path),
        "stages": [_stage(stage) for stage in facts.stages],
        "datasets": sorted(facts.datasets, key=lambda data: data.name),
        "toolchains": facts.toolchains,
        "gates": list(facts.gates),
        "waivers": [
            {"gate": f"{gate.stage}.{gate.metric}", "reason": gate.waiver}
            for gate in facts.gates
            if gate.waiver is not None
        ],
        "metrics": {stage.name: stage.metrics for stage in facts.stages if stage.metrics},
        "change": facts.change,
        "mlbuild": facts.mlbuild,
    }


def _artifact(artifact: ReleasedArtifact) -> Mapping[str, Json]:
    model = artifact.model
    return {
        "name": artifact.name,
        "path": artifact.path,
        "type": artifact.type,
        "size": artifact.size,
        "stage": artifact.stage,
        "output": artifact.output,
        "key": artifact.key,
        "md5": artifact.md5,
        "files": sorted(file.path for file in artifact.files),
        "model": None if model is None else {k: model[k] for k in model if k not in _BY_LAYER},
    }


def _stage(stage: StageFacts) -> Mapping[str, Json]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "command": stage.command,
        "key": stage.key,
        "parts": stage.parts,
        "toolchain": stage.toolchain,
        "inputs": stage.inputs,
        "outputs": stage.outputs,
    }
