"""What is known of a release: everything that its documents tell, gathered once.

All of it is a function of the commit, the ledger and the last release; no time, place or machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.records import Json

LAYOUT = 1  # version of the release folder


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """One file of the release folder; ``path`` is relative to it, with '/'."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReleasedArtifact:
    """One artifact: ``artifacts/<name>/<file or folder>`` in the release folder."""

    name: str  # as the pipeline's `release: artifacts:` calls it
    path: str  # in the release folder: "artifacts/model/Dogs.mlpackage"
    source: str  # in the project: "build/dogs/best/Dogs.mlpackage"
    type: str  # "CoreMLModel"
    stage: str  # that made it, a variant's full name
    output: str
    key: str  # the stage key
    md5: str  # as the ledger has it
    size: int
    files: tuple[ReleasedFile, ...]
    model: Mapping[str, Json] | None = None  # what `mlbuild inspect --json` tells of a model


@dataclass(frozen=True, slots=True)
class StageFacts:
    """A stage that an artifact or a gate of the release depends on, and what it recorded."""

    name: str
    kind: str | None  # None: a command
    command: str | None
    key: str
    parts: Mapping[str, Json]  # of the key: code, toolchain, params, env, threads, inputs, ...
    toolchain: str | None
    inputs: Mapping[str, Json]  # role -> {"from": "train.model" | "datasets.x" | "./p", "md5": ...}
    outputs: Mapping[str, Json]  # name -> {"path", "type", "md5", "size"}
    metrics: Mapping[str, Json] = field(default_factory=dict)
    # what the kind's spec tells of its metrics, "recall.*" too: {"description", "unit", "better"}
    meanings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset, frozen."""

    name: str
    scheme: str
    location: str
    md5: str
    size: int | None
    source: Mapping[str, Json] = field(default_factory=dict)  # commit, sha256, version


@dataclass(frozen=True, slots=True)
class GateFacts:
    """A gate and how it stood."""

    stage: str
    metric: str
    limits: Mapping[str, Json]  # {"min": 40}
    value: float | None
    released: float | None  # the last release's value, where it was compared
    ok: bool
    text: str
    waiver: str | None = None  # the reason why it may fail


@dataclass(frozen=True, slots=True)
class Change:
    """How a release differs from the last one; every list is sorted and may be empty.

    A row of ``metrics`` is {"stage", "metric", "before", "after"}; of ``params`` {"stage", "name",
    "before", "after"}; of ``data`` {"name", "before", "after"} (MD5s); of ``code`` and
    ``toolchains`` {"name", "before", "after"}; of ``interface`` a sentence; of ``labels`` +/-.
    """

    level: str  # "major", "minor", "patch", "none" or "first"
    why: tuple[str, ...]  # sentences that lead to the level
    interface: tuple[str, ...] = ()
    params: tuple[Mapping[str, Json], ...] = ()
    data: tuple[Mapping[str, Json], ...] = ()
    code: tuple[Mapping[str, Json], ...] = ()
    toolchains: tuple[Mapping[str, Json], ...] = ()
    metrics: tuple[Mapping[str, Json], ...] = ()
    sizes: tuple[Mapping[str, Json], ...] = ()  # {"artifact", "before", "after"} in bytes
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Everything that the documents of a release are made of."""

    name: str  # "dogs"
    version: str  # "1.2.0"
    commit: str  # full hash
    repository: str | None  # the address of `origin`, without user and password
    pipeline: str  # file, relative to the root
    profiles: tuple[str, ...]
    sets: tuple[str, ...]
    params: Mapping[str, Json]
    artifacts: tuple[ReleasedArtifact, ...]  # the first one is the main one
    stages: tuple[StageFacts, ...]  # parents first
    datasets: tuple[DatasetFacts, ...]
    toolchains: Mapping[str, Mapping[str, Json]]  # {"python", "digest", "packages": {name: ver}}
    gates: tuple[GateFacts, ...]
    change: Change
    previous: str | None = None  # version of the last release
    previous_commit: str | None = None
    reason: str | None = None  # why the version is not the computed one
    card: Mapping[str, Json] = field(default_factory=dict)  # `release: card:` of the pipeline file
    plots: Mapping[str, Path] = field(default_factory=dict)  # stage -> its folder of plots
    mlbuild: str = ""  # version of mlbuild
    directory: str = ""  # of the project in its repository, "" at the top

    @property
    def tag(self) -> str:
        """The git tag, as GTO writes it."""
        full = f"{self.directory}={self.name}" if self.directory else self.name
        return f"{full}@v{self.version}"
