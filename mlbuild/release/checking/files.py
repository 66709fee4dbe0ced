"""Whether the folder holds exactly the files that the manifest lists."""

from __future__ import annotations

from collections.abc import Iterator

from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.checking.paths import collisions
from mlbuild.release.manifest_reading import UNLISTED, Manifest, ManifestFile

_AGAIN = "get the release again from where it was published"
_AWAY = "it is no part of the release: take it away, or get the release again"


def check_files(folder: Folder, manifest: Manifest) -> Iterator[Finding]:
    """Every file by size and SHA-256, and nothing else in the folder."""
    listed = manifest.listed
    for path, file in listed.items():
        yield from _file(folder, path, file)
    for path in sorted(folder.files.keys() - listed.keys() - UNLISTED):
        yield _finding(path, "a file that the manifest does not list", remedy=_AWAY)
    for path, what in sorted(folder.strange.items()):
        if path not in listed:
            yield _finding(path, "the manifest does not list it", found=what, remedy=_AWAY)
    for path in folder.empty:
        yield _finding(path, "an empty folder, which no release has", remedy=_AWAY)
    for one, other in collisions([*folder.files, *folder.strange]):
        what = f"one and the same as {other} where case does not count"
        yield _finding(one, what, remedy=_AWAY)


def _file(folder: Folder, path: str, file: ManifestFile) -> Iterator[Finding]:
    if path in folder.strange:
        yield _finding(path, "a release holds plain files only", "a file", folder.strange[path])
        return
    seen = folder.files.get(path)
    if seen is None:
        yield _finding(path, "the manifest lists it, and it is not there")
        return
    if seen.size != file.size:
        yield _finding(path, "has another size", f"{file.size} bytes", f"{seen.size} bytes")
    elif seen.sha256 != file.sha256:
        yield _finding(path, "has other bytes", f"sha256 {file.sha256}", f"sha256 {seen.sha256}")


def _finding(
    where: str,
    what: str,
    expected: str | None = None,
    found: str | None = None,
    remedy: str = _AGAIN,
) -> Finding:
    return Finding(About.FILE, where, what, expected, found, remedy)
