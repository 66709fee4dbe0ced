"""Whether the project's own repository agrees: the release's tag, and the ledger at its commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import DataError
from mlbuild.lazily import lazily
from mlbuild.records import StageRecord
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.manifest_reading import NAME, Manifest, ManifestArtifact
from mlbuild.release.tags import record_in
from mlbuild.released import Tagged, file_at, releases
from mlbuild.store.ledger import record_of
from mlbuild.store.sections import split
from mlbuild.store.yaml12 import load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms

LEDGER = "dvc.lock"
_ELSEWHERE = "the release was not made from this commit: get it again from where it was published"


def check_tag(root: Path, folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """The tag of the release points to the manifest's commit, and names this very manifest.

    Raises:
        DataError: git cannot tell.
    """
    tagged = _tag_of(root, manifest)
    where = manifest.tag
    if tagged is None:
        what = "this repository has no such tag"
        remedy = "git fetch --tags; if it has none then either, nobody released this"
        yield Finding(About.TAG, where, what, f"a tag on {manifest.commit}", "none", remedy)
        return
    if tagged.commit != manifest.commit:
        what = "the tag points to another commit than the manifest names"
        remedy = "the tag was moved, or the release was not made from it: ask who releases"
        yield Finding(About.TAG, where, what, manifest.commit, tagged.commit, remedy)
    # Tags that mlbuild made tell it; those of others do not.
    told = (record_in(root, tagged.tag) or {}).get("manifest")
    found = folder.files[NAME].sha256
    if told is not None and told != found:
        what = "the tag was made for another manifest, and so for another release folder"
        remedy = "the folder was rewritten: get the release again"
        yield Finding(About.TAG, where, what, f"sha256 {told}", f"sha256 {found}", remedy)
    if tagged.withdrawn:
        what = f"the release was withdrawn: there is a tag {tagged.tag}!"
        yield Finding(About.TAG, where, what, remedy="use another release")


def check_ledger(root: Path, manifest: Manifest) -> Iterator[Finding]:
    """Each artifact is what dvc.lock had at the commit, made by the stage with the same key."""
    try:
        data = file_at(root, manifest.commit, LEDGER)
    except DataError as error:
        what = f"the commit is not in this repository: {error}"
        remedy = "git fetch --unshallow --tags; if it is not there then either, it never was"
        yield Finding(About.LEDGER, f"{NAME}: commit", what, found=manifest.commit, remedy=remedy)
        return
    where = f"{LEDGER} at {manifest.commit[:12]}"
    if data is None:
        what = f"the commit has no {LEDGER}"
        yield Finding(About.LEDGER, where, what, remedy=_ELSEWHERE)
        return
    blocks = split(data.decode("utf-8", "replace")).blocks
    for artifact in manifest.artifacts:
        yield from _artifact(where, blocks, artifact)


def _artifact(
    where: str, blocks: Mapping[str, str], artifact: ManifestArtifact
) -> Iterator[Finding]:
    record = _record(blocks, artifact.stage, artifact.key)
    if record is None:
        what = f"no stage {artifact.stage} with the key that made {artifact.name}"
        key = f"key {artifact.key}"
        yield Finding(About.LEDGER, where, what, key, "no such entry", _ELSEWHERE)
        return
    digest = record.outputs.get(artifact.output)
    if digest is None or digest.md5 != artifact.md5:
        what = f"stage {artifact.stage} made another {artifact.output} than {artifact.name}"
        found = f"md5 {digest.md5}" if digest else "nothing"
        yield Finding(About.LEDGER, where, what, found, f"md5 {artifact.md5}", _ELSEWHERE)


def _record(blocks: Mapping[str, str], stage: str, key: str) -> StageRecord | None:
    for name, block in blocks.items():
        if key not in block:
            continue  # parsing each of a thousand stages would take seconds
        try:
            found = record_of(load(block)[name])
        except (yaml.YAMLError, ValueError, KeyError, TypeError):
            continue  # spoiled by a merge
        if found and found[0] == stage and found[1].key == key:
            return found[1]
    return None


def _tag_of(root: Path, manifest: Manifest) -> Tagged | None:
    found = (t for t in releases(root, manifest.name) if t.version == manifest.release)
    return next(found, None)
