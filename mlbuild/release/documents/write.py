"""Writes the documents of a release beside its artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.release.checking.paths import why_unsafe
from mlbuild.release.checking.signature import SIGNATURE
from mlbuild.release.documents.bom import bom
from mlbuild.release.documents.canonical import canonical_json
from mlbuild.release.documents.card import card_text
from mlbuild.release.documents.manifest import manifest
from mlbuild.release.documents.notes import notes_text
from mlbuild.release.documents.page import page_text
from mlbuild.release.documents.provenance import statement
from mlbuild.release.facts import ReleasedFile, ReleaseFacts

CARD, PAGE, NOTES = "README.md", "card.html", "NOTES.md"
PROVENANCE, BOM, MANIFEST = "provenance.json", "bom.cdx.json", "manifest.json"
_NAMES = (CARD, PAGE, NOTES, PROVENANCE, BOM)
_BUFFER = 1 << 20


def write_documents(facts: ReleaseFacts, folder: Path) -> None:
    """Write README.md, card.html, NOTES.md, provenance.json, bom.cdx.json, and manifest.json last.

    Args:
        facts: of the release.
        folder: of the release; ``artifacts/`` lies in it already.

    Raises:
        DataError: the artifacts there are not those that the facts tell of.
    """
    for name, data in documents(facts).items():
        (folder / name).write_bytes(data)
    files = tuple(_files(folder))
    _check(facts, files)
    (folder / MANIFEST).write_bytes(canonical_json(manifest(facts, files)))


def documents(facts: ReleaseFacts) -> dict[str, bytes]:
    """Every document but the manifest, by its name."""
    return {
        CARD: card_text(facts).encode(),
        PAGE: page_text(facts).encode(),
        NOTES: notes_text(facts).encode(),
        PROVENANCE: canonical_json(statement(facts)),
        BOM: canonical_json(bom(facts)),
    }


def _files(folder: Path) -> Iterator[ReleasedFile]:
    """Every file but the manifest and the signature."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if path in (MANIFEST, SIGNATURE) or (file.is_dir() and not file.is_symlink()):
            continue
        if file.is_symlink() or not file.is_file():
            raise DataError(Problem(f"{path} is no plain file, and cannot be released"))
        why = why_unsafe(path)
        if why:
            hint = "give the output of the stage another name"
            raise DataError(Problem(f"{path!r} cannot be released: {why}", hint=hint))
        yield _file(file, path)


def _file(file: Path, path: str) -> ReleasedFile:
    size, hasher = 0, hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_BUFFER):
            size += len(piece)
            hasher.update(piece)
    return ReleasedFile(path, size, hasher.hexdigest())


def _check(facts: ReleaseFacts, files: tuple[ReleasedFile, ...]) -> None:
    """What lies there is what provenance and bill of materials tell of."""
    told = {file.path: file for artifact in facts.artifacts for file in artifact.files}
    here = {file.path: file for file in files if file.path not in _NAMES}
    problems = [
        *(Problem(f"{p} is missing in the release") for p in sorted(told.keys() - here.keys())),
        *(Problem(f"{p} belongs to no artifact") for p in sorted(here.keys() - told.keys())),
        *(_changed(told[p], here[p]) for p in sorted(told.keys() & here.keys())),
    ]
    found = [problem for problem in problems if problem is not None]
    if found:
        raise DataError(*found)


def _changed(told: ReleasedFile, here: ReleasedFile) -> Problem | None:
    if told == here:
        return None
    what = f"{told.path} is not the file that was to be released"
    return Problem(what, got=f"sha256 {here.sha256}", allowed=(f"sha256 {told.sha256}",))
