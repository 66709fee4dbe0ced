"""Puts a release that there is into channels: `dogs#prod#3`, as GTO does."""

from __future__ import annotations

from collections.abc import Sequence

from mlbuild.errors import Problem, UsageError
from mlbuild.records import ResolvedPipeline
from mlbuild.release import tags
from mlbuild.release.alone import alone
from mlbuild.release.artifacts import spec_of
from mlbuild.released import refuse_shallow, releases


def promote(
    pipeline: ResolvedPipeline, version: str, channels: Sequence[str], *, push: bool, dry: bool
) -> list[str]:
    """Puts a release into channels, and gives the tags that were made.

    Raises:
        UsageError: there is no such release, or no channel was named.
        DataError: the tags could not be pushed; none was made.
    """
    root, spec = pipeline.root, spec_of(pipeline)
    if not channels:
        hint = f"--promote {version} --channel NAME"
        what = "--promote needs the channel that the release is put into"
        raise UsageError(Problem(what, allowed=spec.channels, hint=hint))
    tags.check_channels(spec, channels)
    refuse_shallow(root)
    found = {tagged.version: tagged for tagged in releases(root, spec.name)}
    known = [tagged.version for tagged in found.values() if not tagged.withdrawn]
    wanted = version.removeprefix("v")
    if wanted not in known:
        gone = " any more: it was withdrawn" if wanted in found else ""
        what = f"there is no release {spec.name} {wanted}{gone}"
        hint = f"if somebody else released it: git fetch --tags {tags.REMOTE}"
        raise UsageError(Problem(what, allowed=tuple(known), hint=hint))
    with alone(root / ".mlbuild" / "release" / f"{spec.name}.lock"):
        new = tags.channel_tags(root, spec.name, found[wanted].commit, channels, wanted)
        if dry:
            return [tag.name for tag in new]
        return tags.make(root, new, push=push and tags.has_remote(root))
