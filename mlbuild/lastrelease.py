"""The last release, as a build sees it: which one it is, its artifacts, what its stages recorded.

Which release a build was compared with is frozen in the lock file. It counts until there is a newer
one that HEAD stands on; HEAD's own release counts once something is changed, so that a build of the
released commit stays what was released.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from mlbuild import released
from mlbuild.errors import DataError, Problem
from mlbuild.gates import parse_metrics
from mlbuild.plan import ABSENT
from mlbuild.records import Dataset, Digest, Json, Progress, ResolvedPipeline, Stage
from mlbuild.store.history import outputs_of
from mlbuild.store.project import Store

_WRITTEN = re.compile(r"(^|/)(dvc\.lock|dvc\.yaml|[^/]*-lock\.json|metrics\.json|\.gitignore)$")
FROZEN = "release"  # its row among the frozen datasets; no dataset can bear that name


class LastRelease:
    """The release that one build compares itself with.

    Args:
        pipeline: with a `release:` section, or nothing is ever asked for.
        store: of the pipeline.
        frozen: the rows of the lock file; the release's is renewed.
        held: take the frozen release even where there is a newer one (`--locked`).
    """

    def __init__(
        self, pipeline: ResolvedPipeline, store: Store, frozen: dict[str, Json], held: bool
    ) -> None:
        self._pipeline, self._store, self._frozen, self._held = pipeline, store, frozen, held
        self.doubt: str | None = None  # that it may not be the newest one, and why

    @cached_property
    def tagged(self) -> released.Tagged | None:
        """The release; None while there is none.

        Where git cannot tell (a shallow clone, a repository of somebody else), it is the one that
        is frozen, and ``doubt`` says why.
        """
        spec = self._pipeline.release
        if spec is None:
            return None
        row = self._frozen.get(FROZEN)
        frozen = _thawed(row) if isinstance(row, Mapping) and row.get("name") == spec.name else None
        if self._held or not _in_git(self._pipeline.root):
            return frozen
        try:
            self._watch()
            found = self._newest(spec.name)
        except DataError as error:
            why = "; ".join(problem.message for problem in error.problems)
            self.doubt = f"compared with the release of the lock file: {why}"
            return frozen
        self._frozen[FROZEN] = {
            "version": 1,
            "name": spec.name,
            "release": found.version if found else None,
            "tag": found.tag if found else None,
            "commit": found.commit if found else None,
        }
        return found

    def digest(self, dataset: Dataset) -> str:
        """The MD5 of an artifact, or ``ABSENT``."""
        found = self._artifact(dataset)
        return found[1].md5 if found else ABSENT

    def path(self, dataset: Dataset, progress: Progress) -> Path:
        """Where an artifact lies, fetched from the team's cache if it must be.

        Raises:
            DataError: neither this machine nor the remote has it.
        """
        found = self._artifact(dataset)
        assert found is not None and self.tagged is not None, dataset
        name, digest = found
        try:
            return self._store.released(digest, name, progress)
        except DataError as error:
            what = f"artifact '{dataset.options['artifact']}' of {self.tagged.tag} cannot be had"
            hint = "whoever released it puts it there: mlbuild push"
            raise DataError(Problem(what, dataset.place, hint=hint)) from error

    def metrics(self, stage: Stage) -> Mapping[str, Json] | None:
        """What the stage recorded in the build that was released; None where it did not."""
        out = next((o for o in stage.outputs if o.role == "metrics"), None)
        if self.tagged is None or out is None:
            return None
        data = released.file_at(self._pipeline.root, self.tagged.commit, out.path)
        return None if data is None else parse_metrics(data, f"{self.tagged.tag}:{out.path}")

    def _newest(self, name: str) -> released.Tagged | None:
        root = self._pipeline.root
        found = released.last_release(root, name, before_head=True)
        head = released.head_commit(root)
        own = [
            tagged
            for tagged in released.releases(root, name)
            if tagged.commit == head and not tagged.withdrawn and not tagged.parsed.pre
        ]
        if own and (found is None or found.parsed < own[-1].parsed) and self._is_changed():
            return own[-1]
        return found

    def _is_changed(self) -> bool:
        """Whether this is no longer what HEAD holds: a tracked file, or a dataset of DVC.

        What builds write does not count: a run must not change what the next one compares with.
        """
        root = self._pipeline.root
        changed = released.git(root, "diff", "--name-only", "-z", "--relative", "HEAD").split("\0")
        made = {out.path for stage in self._pipeline.stages for out in stage.outputs}
        if any(path and path not in made and not _WRITTEN.search(path) for path in changed):
            return True
        for dataset in self._pipeline.datasets.values():
            tracked = None
            if dataset.scheme == "path" and (root / dataset.location).exists():
                tracked = self._store.tracked_digest(dataset.location)
            here = self._store.digests.of(root / dataset.location) if tracked else None
            if tracked and here and here.md5 != tracked:
                return True
        return False

    def _artifact(self, dataset: Dataset) -> tuple[str, Digest] | None:
        if self.tagged is None:
            return None
        found = self._artifacts.get(str(dataset.options["artifact"]))
        if found is None:
            what = f"{self.tagged.tag} has no artifact '{dataset.options['artifact']}'"
            hint = "it is compared from the next release on: leave it out until then"
            known = tuple(self._artifacts)
            raise DataError(Problem(what, dataset.place, allowed=known, hint=hint))
        return found

    @cached_property
    def _artifacts(self) -> Mapping[str, tuple[str, Digest]]:
        """By name: file name and digest of what was released."""
        assert self.tagged is not None
        return outputs_of(self._pipeline.root, self.tagged.name, self.tagged.commit)

    def _watch(self) -> None:
        """A new commit or tag is a reason to look again."""
        root = self._pipeline.root
        for name in ("HEAD", "logs/HEAD", "packed-refs", "refs/tags"):
            path = Path(released.git(root, "rev-parse", "--git-path", name).strip())
            self._store.digests.watch(root / path)


def _thawed(row: Mapping[str, Json]) -> released.Tagged | None:
    if not row.get("release"):
        return None
    return released.Tagged(
        str(row["name"]), str(row["release"]), str(row["tag"]), str(row["commit"])
    )


def _in_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))
