"""Holds what lies on the disk against dvc.lock: whose result it is, and whether it still is.

Every byte is read; nothing is written, fetched, or taken from `.mlbuild/`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlbuild.errors import DataError
from mlbuild.fingerprint import listing_md5
from mlbuild.lazily import lazily
from mlbuild.records import Digest, Json, Progress, StageRecord
from mlbuild.store.digests import Digests
from mlbuild.store.init import cache_settings, dvc_folder
from mlbuild.store.ledger import read_lock, record_of
from mlbuild.store.yaml12 import load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms


class Status(StrEnum):
    """What can be said of an artifact."""

    INTACT = "intact"
    MODIFIED = "modified"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Origin(NamedTuple):
    """The stage that made an artifact."""

    name: str  # in dvc.yaml, or the .dvc file that tracks it
    stage: str  # in the pipeline; the same as `name` for a stage that is not mlbuild's
    pipeline: str | None  # its file
    record: StageRecord | None  # None: DVC recorded it, not mlbuild
    deps: Mapping[str, str]  # path -> MD5 of what DVC can see of the inputs


class Artifact(NamedTuple):
    """One output as the ledger knows it."""

    path: str  # relative to the root
    digest: Digest
    origin: Origin


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one artifact. Paths are relative to the folder that was asked about."""

    path: Path
    status: Status
    artifact: Artifact | None = None
    found: str | None = None  # MD5 of what lies there
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


class Verifier:
    """The artifacts of one project.

    Args:
        root: where dvc.lock lies.

    Raises:
        LedgerError: dvc.lock cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blocks = read_lock(root / "dvc.lock").blocks
        # A state folder that is not there: nothing is known without being read.
        self._digests = Digests(root / ".mlbuild" / "none", root)

    def verify(self, path: Path, progress: Progress | None = None) -> list[Verdict]:
        """Judges a file, a folder, a folder of artifacts, or all artifacts of a pipeline file.

        Args:
            path: absolute; need not exist.
            progress: of reading.
        """
        known = self._about(path)
        if known:
            return [self._judge(found, path, progress) for found in known]
        copy = self._copy(path, progress)
        return [copy] if copy else [self._unknown(path)]

    def _about(self, path: Path) -> list[Artifact]:
        if not path.is_relative_to(self.root):
            return []
        relative = path.relative_to(self.root).as_posix()
        # Most are found by their text: a ledger of thousands of stages takes seconds to parse.
        likely = [row for row in self._blocks.items() if f"- path: {relative}\n" in row[1]]
        found = [a for name, block in likely for a in _parse(name, block)]
        exact = [a for a in found if a.path == relative]
        exact = exact or list(_tracked(self.root, relative))
        exact = exact or [a for a in self._artifacts if _holds(a.path, relative)]
        return exact or [
            a
            for a in self._artifacts
            if relative in (".", a.origin.pipeline) or _holds(relative, a.path)
        ]

    @cached_property
    def _artifacts(self) -> list[Artifact]:
        return [a for name, block in self._blocks.items() for a in _parse(name, block)]

    def _judge(self, artifact: Artifact, asked: Path, progress: Progress | None) -> Verdict:
        place = self.root / artifact.path
        if asked != place and asked.is_relative_to(place):
            return self._judge_inside(artifact, asked, progress)
        found = self._digests.of(place, progress)
        if found is None:
            return Verdict(place, Status.MISSING, artifact)
        if found.md5 == artifact.digest.md5:
            if found.isexec == artifact.digest.isexec:
                return Verdict(place, Status.INTACT, artifact, found.md5)
            note = "its executable bit was changed"
            return Verdict(place, Status.MODIFIED, artifact, found.md5, notes=(note,))
        return self._differing(artifact, place, found)

    def _judge_inside(self, artifact: Artifact, asked: Path, progress: Progress | None) -> Verdict:
        """A file or folder inside a folder that is one artifact."""
        inner = asked.relative_to(self.root / artifact.path).as_posix()
        want = self._listing(artifact.digest.md5)
        if want is None:
            note = f"which files {artifact.path} held is not known here: verify the whole folder"
            return Verdict(asked, Status.UNKNOWN, artifact, notes=(note,))
        found = self._digests.of(asked, progress)
        if found is not None and not found.md5.endswith(".dir"):
            was = want.get(inner)
            note = f"it is none of the files of {artifact.path}"
            if was is None:
                return Verdict(asked, Status.MODIFIED, artifact, found.md5, notes=(note,))
            same = Status.INTACT if was == found.md5 else Status.MODIFIED
            return Verdict(asked, same, artifact, found.md5)
        part = {
            rel[len(inner) + 1 :]: md5 for rel, md5 in want.items() if rel.startswith(f"{inner}/")
        }
        if found is None:
            there = inner in want or bool(part)
            return Verdict(asked, Status.MISSING if there else Status.UNKNOWN, artifact)
        return _compared(asked, artifact, found.md5, part, self._digests.listing(asked))

    def _differing(self, artifact: Artifact, place: Path, found: Digest) -> Verdict:
        kinds = (artifact.digest.md5.endswith(".dir"), found.md5.endswith(".dir"))
        if kinds == (False, False):
            return Verdict(place, Status.MODIFIED, artifact, found.md5)
        if kinds != (True, True):
            note = "it was a folder" if kinds[0] else "it was a file"
            return Verdict(place, Status.MODIFIED, artifact, found.md5, notes=(note,))
        want = self._listing(artifact.digest.md5)
        if want is None:
            note = "which files differ is not known: its list is not in the local cache"
            return Verdict(place, Status.MODIFIED, artifact, found.md5, notes=(note,))
        return _compared(place, artifact, found.md5, want, self._digests.listing(place))

    def _copy(self, path: Path, progress: Progress | None) -> Verdict | None:
        """Something that lies elsewhere: known by its bytes where an artifact has the same."""
        found = self._digests.of(path, progress)
        if found is None:
            return None
        for artifact in self._artifacts:
            if artifact.digest.md5 == found.md5:
                note = f"the same bytes as {artifact.path}"
                return Verdict(path, Status.INTACT, artifact, found.md5, notes=(note,))
        return None

    def _unknown(self, path: Path) -> Verdict:
        if not path.exists():
            raise DataError(
                f"{path} does not exist, and {self.root / 'dvc.lock'} does not know it",
                hint="name an output, a folder of outputs, or a pipeline file",
            )
        note = f"no stage of {self.root / 'dvc.lock'} made it"
        return Verdict(path, Status.UNKNOWN, notes=(note,))

    def _listing(self, md5: str) -> dict[str, str] | None:
        """What a folder held, if the local cache still has its list, whole."""
        if not md5.endswith(".dir") or dvc_folder(self.root) is None:
            return None
        try:
            folder, _ = cache_settings(self.root)
            data = (folder / "files" / "md5" / md5[:2] / md5[2:]).read_bytes()
            listing = {str(row["relpath"]): str(row["md5"]) for row in json.loads(data)}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return listing if listing_md5(listing.items())[0] == md5 else None


def find_root(path: Path) -> Path | None:
    """The nearest folder at or above a path that holds a dvc.lock."""
    for folder in (path, *path.parents):
        if (folder / "dvc.lock").is_file():
            return folder
    return None


def _tracked(root: Path, relative: str) -> Iterator[Artifact]:
    """What a `.dvc` file beside a file or folder says of it."""
    name = f"{relative}.dvc"
    try:
        (out,) = load((root / name).read_text("utf-8"))["outs"]
        yield Artifact(relative, _digest(out), Origin(name, name, None, None, {}))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return


def _parse(name: str, block: str) -> Iterator[Artifact]:
    try:
        entry = load(block)[name]
        outs = [(str(out["path"]), _digest(out)) for out in entry.get("outs", []) if "md5" in out]
        deps = {str(d["path"]): str(d.get("md5", "")) for d in entry.get("deps", [])}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return  # spoiled by a merge: what it made is unknown
    found = record_of(entry)
    pipeline = _pipeline_of(entry) if found else None
    stage, record = found or (name, None)
    origin = Origin(name, stage, pipeline, record, deps)
    yield from (Artifact(path, digest, origin) for path, digest in outs)


def _digest(out: Json) -> Digest:
    return Digest(str(out["md5"]), out.get("size", 0), out.get("nfiles"), bool(out.get("isexec")))


def _pipeline_of(entry: Json) -> str | None:
    import shlex  # lazy: only the few entries that are asked about need it

    words = shlex.split(str(entry.get("cmd", "")))
    return words[2] if words[:2] == ["mlbuild", "run"] and len(words) > 2 else None


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _compared(
    place: Path, artifact: Artifact, md5: str, want: Mapping[str, str], got: Mapping[str, str]
) -> Verdict:
    changed = sorted(rel for rel in want.keys() & got.keys() if want[rel] != got[rel])
    added, missing = sorted(got.keys() - want.keys()), sorted(want.keys() - got.keys())
    status = Status.MODIFIED if changed or added or missing else Status.INTACT
    return Verdict(place, status, artifact, md5, tuple(changed), tuple(added), tuple(missing))
