"""The folder of a release: put together aside, checked, and given its name in one step."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.records import Json
from mlbuild.release.artifacts import Built
from mlbuild.release.checking.identity import Asked
from mlbuild.release.checking.release import checked
from mlbuild.release.checking.signature import SIGNATURE
from mlbuild.release.documents import write_documents
from mlbuild.release.expected import signer_of
from mlbuild.release.facts import ReleaseFacts
from mlbuild.release.signing import sign
from mlbuild.store.copying import clone
from mlbuild.store.files import explained, remove

MANIFEST = "manifest.json"
_WORK = ".work"
_SHOWN = 20


def finish(facts: ReleaseFacts, built: Built, parent: Path, environ: Mapping[str, str]) -> Path:
    """The whole folder of a release; one that was finished before, and still is it, stays.

    Args:
        facts: of the release.
        built: the pipeline, whose results lie in place.
        parent: where folders of releases go.
        environ: where a signing key is looked up.

    Raises:
        DataError: what was put together does not pass the checks of `mlbuild verify`.
    """
    place = parent / facts.name / f"v{facts.version}"
    work = parent / _WORK / facts.name / place.name
    sweep(parent)
    assemble(facts, built, work)
    _keep_signature(place, work)
    sign(work, built.spec.sign, environ, built.pipeline.root)
    _require(work, built.spec.sign, facts, built)
    if not _is_same(place, work):
        _exchange(place, work)
    sweep(parent)
    return place


def assemble(facts: ReleaseFacts, built: Built, work: Path) -> None:
    """Artifacts and documents, unsigned."""
    root = built.pipeline.root
    with explained("putting a release together", work):
        work.mkdir(parents=True)
        for artifact in facts.artifacts:
            for file in artifact.files:
                inner = file.path.removeprefix(artifact.path).removeprefix("/")
                source = root / artifact.source / inner if inner else root / artifact.source
                to = work / file.path
                to.parent.mkdir(parents=True, exist_ok=True)
                clone(str(source), str(to))
                to.chmod(0o644)
    write_documents(facts, work)


def sweep(parent: Path) -> None:
    """Removes what a release that was cut off left half made."""
    with explained("clearing up after a release", parent / _WORK):
        remove(parent / _WORK)


def files_of(folder: Path) -> list[tuple[str, int]]:
    """Every file of a release with its size, sorted by path."""
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return sorted((f.relative_to(folder).as_posix(), f.stat().st_size) for f in found)


def manifest_digest(folder: Path) -> str:
    """The SHA-256 of a release's manifest, which stands for all of it."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _exchange(place: Path, work: Path) -> None:
    """Puts a folder into place; one of a commit that was never tagged makes room for it."""
    with explained("putting the release into place", place):
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rename(work.with_name(f"{work.name}.old"))
        work.rename(place)


def _keep_signature(place: Path, work: Path) -> None:
    """Offers an earlier signature again: no two of the same bytes are equal."""
    with contextlib.suppress(OSError):
        clone(str(place / SIGNATURE), str(work / SIGNATURE))


def _is_same(place: Path, work: Path) -> bool:
    """Whether byte for byte the same lies there already."""
    there = {path: (place / path) for path, _ in files_of(place)}
    here = {path: (work / path) for path, _ in files_of(work)}
    return there.keys() == here.keys() and all(
        filecmp.cmp(there[path], here[path], shallow=False) for path in here
    )


def _require(folder: Path, spec: Mapping[str, Json], facts: ReleaseFacts, built: Built) -> None:
    """Raises a DataError unless the folder is all that a release must be."""
    signer, asked = signer_of(spec, built.pipeline.root), Asked(facts.name, facts.version)
    found = checked(folder, signer=signer, signed=bool(spec), asked=asked)
    if found.ok:
        return
    told = [line for finding in found.findings[:_SHOWN] for line in finding.lines()]
    what = f"{folder} is not the release that it should be"
    raise DataError(Problem("\n  ".join([what, *told])))
