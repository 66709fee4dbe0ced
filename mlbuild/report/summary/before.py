"""What stood at a git revision: pins, metrics and sizes, as the ledger was committed there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlbuild.errors import DataError, LedgerError, Problem, UsageError
from mlbuild.records import Digest, Json, ResolvedPipeline
from mlbuild.released import file_at, git, head_commit, last_release
from mlbuild.store.pins import SUFFIX

RELEASE = "release"  # what `--against` calls the last one


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit to compare with, and what the user calls it."""

    label: str  # "main", "release 1.2.0"
    commit: str
    version: str | None = None  # of a release


def revision(root: Path, asked: str) -> Revision:
    """The commit that a revision names.

    Raises:
        UsageError: git knows no such commit.
        DataError: the project lies in no git repository.
    """
    head_commit(root)  # says so where there is no repository
    try:
        # `--end-of-options`: a name may come from a stranger's pull request.
        found = git(
            root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{asked}^{{commit}}"
        )
    except DataError as error:
        problem = Problem(
            f"--against {asked}: git knows no such revision here",
            hint="git fetch origin it first; in CI clone with fetch-depth: 0",
        )
        raise UsageError(problem) from error
    return Revision(asked, found.strip())


def released(pipeline: ResolvedPipeline) -> Revision | None:
    """The last release before HEAD; None while there is none, or nothing is to be released.

    Raises:
        DataError: it cannot be told.
    """
    if pipeline.release is None:
        return None
    found = last_release(pipeline.root, pipeline.release.name, before_head=True)
    if found is None:
        return None
    return Revision(f"release {found.version}", found.commit, found.version)


@dataclass(frozen=True)
class Before:
    """A pipeline's part of the ledger at a revision."""

    revision: Revision
    root: Path
    file: Path  # the pipeline's
    object_path: Callable[[Digest], Path]  # where the cache keeps a file

    @cached_property
    def pins(self) -> Mapping[str, Mapping[str, Json]]:
        """A stage's full name -> what it was built from."""
        pins = self.file.resolve().with_name(f"{self.file.stem}{SUFFIX}")
        data = self._read(os.path.relpath(pins, self.root.resolve()))
        if data is None:
            return {}
        try:
            rows = json.loads(data)["stages"].values()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            name, at = pins.name, self.revision.label
            raise LedgerError(f"{name} at {at} cannot be read: {error}") from error
        return {row["stage"]: row for row in rows if isinstance(row, dict) and "stage" in row}

    def metrics(self, stage: str) -> Mapping[str, Json]:
        """What the stage had recorded; nothing where neither git nor the cache has it."""
        path = self.pins.get(stage, {}).get("paths", {}).get("metrics")
        if not path:
            return {}
        data = self._read(path) or self._object(path)
        try:
            found = json.loads(data) if data else {}
        except ValueError:
            return {}  # what was wrong with it then is no matter now
        return found if isinstance(found, dict) else {}

    def size(self, path: str) -> int | None:
        """How many bytes an output had."""
        found = self._outputs.get(path)
        return found.size if found else None

    def md5(self, path: str) -> str | None:
        """What an output was."""
        found = self._outputs.get(path)
        return found.md5 if found else None

    def _read(self, path: str) -> bytes | None:
        return file_at(self.root, self.revision.commit, path)

    def _object(self, path: str) -> bytes | None:
        """Of a file that git does not have."""
        digest = self._outputs.get(path)
        if digest is None:
            return None
        try:
            return self.object_path(digest).read_bytes()
        except OSError:
            return None

    @cached_property
    def _outputs(self) -> dict[str, Digest]:
        import yaml  # lazy: only a comparison reads an old dvc.lock

        data = self._read("dvc.lock")
        try:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            lock = yaml.load(data, loader) if data else {}
            entries = (lock.get("stages") or {}).values()
            outs = [out for entry in entries for out in entry.get("outs", ())]
            return {o["path"]: Digest(o["md5"], o.get("size", 0)) for o in outs if "md5" in o}
        except (yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
            raise LedgerError(f"dvc.lock at {self.revision.label} cannot be read") from error
