"""Where HEAD stands among the releases: on which one, whether it is one itself, which there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlbuild import gates
from mlbuild.errors import DataError, Problem
from mlbuild.records import ResolvedPipeline
from mlbuild.release import tags
from mlbuild.release.artifacts import spec_of
from mlbuild.release.facts import Change
from mlbuild.release.versions import Decided, computed, decide
from mlbuild.released import Tagged, Version, head_commit, last_release, releases
from mlbuild.store.project import Store

_FROZEN = "release"  # the row of the lock file that says what a build was compared with


@dataclass(frozen=True, slots=True)
class Standing:
    """Where HEAD stands."""

    first: str  # version of a first release
    last: Tagged | None  # the release that it stands on
    own: Tagged | None  # its own, which is to be completed
    existing: tuple[Tagged, ...] = ()
    reason: str | None = None  # of its own release, as its tag tells
    waived: Mapping[str, str] = field(default_factory=dict)

    def numbered(self, change: Change, asked: str | None, reason: str | None) -> Decided | None:
        """The version: that of HEAD's own tag, the one that was asked for, or the computed one."""
        if self.own is None:
            return decide(
                change, self.last, self.existing, first=self.first, asked=asked, reason=reason
            )
        by_itself = computed(change, self.last, self.first) == self.own.parsed
        return Decided(self.own.version, None if by_itself else self.reason)


def standing(pipeline: ResolvedPipeline, asked: str | None) -> Standing:
    """Where HEAD stands.

    Args:
        pipeline: that is released.
        asked: a version that somebody wants; another one than that of HEAD's own release is a
            release of its own, as 1.2.0 is after 1.2.0-rc.1.
    """
    root, spec = pipeline.root, spec_of(pipeline)
    existing = releases(root, spec.name)
    head = head_commit(root)
    wanted = Version.parse(asked.removeprefix("v")) if asked else None
    own = [t for t in existing if t.commit == head and not t.withdrawn]
    own = [t for t in own if asked is None or t.parsed == wanted]
    last = last_release(root, spec.name, before_head=True)
    if not own:
        return Standing(spec.first, last, None, tuple(existing))
    record = tags.record_in(root, own[-1].tag)
    if record is None:
        subject = tags.subject_of(root, own[-1].tag)
        told = f"tagged by hand: {subject}" if subject else "tagged by hand"
        return Standing(spec.first, last, own[-1], tuple(existing), told)
    waivers = record.get("waivers") or {}
    return Standing(spec.first, last, own[-1], tuple(existing), record.get("reason"), waivers)


def require_current(pipeline: ResolvedPipeline, store: Store, last: Tagged | None) -> None:
    """Raises a DataError if the build was compared with another release than the last one."""
    if not _compares(pipeline):
        return
    row = store.datasets_frozen().get(_FROZEN)
    with_ = row.get("release") if isinstance(row, Mapping) else None
    if with_ == (last.version if last else None):
        return
    what = f"the build was compared with {_shown(with_)}, and the last release is "
    what += _shown(last.version if last else None)
    hint = f"mlbuild run {pipeline.file.name}, commit the ledger, and release again"
    raise DataError(Problem(what, hint=hint))


def _compares(pipeline: ResolvedPipeline) -> bool:
    if any(dataset.scheme == "release" for dataset in pipeline.datasets.values()):
        return True
    return any(gates.compares(stage.gates) for stage in pipeline.stages)


def _shown(version: object) -> str:
    return f"release {version}" if version else "none"
