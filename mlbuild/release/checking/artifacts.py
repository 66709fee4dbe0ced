"""Whether the bytes of each artifact have the digest that the ledger recorded for it."""

from __future__ import annotations

from collections.abc import Iterator

from mlbuild.fingerprint import listing_md5
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.manifest_reading import NAME, Manifest, ManifestArtifact

_REMEDY = "the artifact is not the one that was built: get the release again"


def check_artifacts(folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """The MD5 of DVC, worked out from the bytes that lie here; it identifies what was built."""
    for number, artifact in enumerate(manifest.artifacts):
        found = artifact_md5(folder, artifact)
        if found != artifact.md5:
            where = f"{NAME}: artifacts[{number}].md5"
            what = f"the bytes of {artifact.path} are not those that the build recorded"
            yield Finding(
                About.ARTIFACT,
                where,
                what,
                f"md5 {artifact.md5}",
                f"md5 {found}" if found else "nothing that could be read",
                _REMEDY,
            )


def artifact_md5(folder: Folder, artifact: ManifestArtifact) -> str | None:
    """What DVC records of the artifact as it lies here; None if it is not there."""
    if not artifact.md5.endswith(".dir") and artifact.path in folder.files:
        return folder.files[artifact.path].md5
    inside = f"{artifact.path}/"
    rows = [
        (path.removeprefix(inside), seen.md5)
        for path, seen in folder.files.items()
        if path.startswith(inside)
    ]
    return listing_md5(rows)[0] if rows else None
