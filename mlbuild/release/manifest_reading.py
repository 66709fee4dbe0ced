"""Reads the manifest of a release, which may come from anywhere: strictly, all problems at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mlbuild.errors import DataError, Problem
from mlbuild.records import Json
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import opened
from mlbuild.release.checking.paths import collisions, why_unsafe
from mlbuild.release.checking.signature import SIGNATURE
from mlbuild.release.checking.strict_json import MAX_BYTES, parse
from mlbuild.release.documents.canonical import canonical_json
from mlbuild.release.facts import LAYOUT
from mlbuild.released import Version

NAME = "manifest.json"
# What the manifest does not list: itself, and what is written when it is complete.
UNLISTED = frozenset({NAME, SIGNATURE})
DOCUMENTS = frozenset({"README.md", "card.html", "NOTES.md", "provenance.json", "bom.cdx.json"})
_MOST_ARTIFACTS = 200  # each is held against every file
_RELEASE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_/-]*[a-z0-9])?")  # as GTO allows, lower case


def _inside(path: str) -> str:
    if why := why_unsafe(path):
        raise ValueError(f"a file of the release cannot lie there: {why}")
    return path


def _version(text: str) -> str:
    if Version.parse(text) is None:
        raise ValueError("no semantic version, such as 1.2.0")
    return text


def _release_name(text: str) -> str:
    if not _RELEASE_NAME.fullmatch(text):
        raise ValueError("no name of a release: small letters, digits, '-', '_' and '/'")
    return text


InsidePath = Annotated[str, AfterValidator(_inside)]
VersionText = Annotated[str, AfterValidator(_version)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
Commit = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Size = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    # Fields may be added to a layout; what is known must be exactly of its type.
    model_config = ConfigDict(strict=True, frozen=True, extra="allow")


class ManifestFile(_Part):
    """One file of the folder."""

    path: InsidePath
    size: Size
    sha256: Sha256


class ManifestArtifact(_Part):
    """One artifact; ``files`` are paths in the folder."""

    name: str
    path: InsidePath
    type: str
    size: Size
    stage: str
    output: str
    key: str
    md5: Md5
    files: list[InsidePath]
    model: dict[str, Any] | None = None


class ManifestGate(_Part):
    """A gate as it stood when the release was made."""

    stage: str
    metric: str
    limits: dict[str, Any]
    value: float | None
    ok: bool
    text: str
    waiver: str | None = None


class ManifestStage(_Part):
    """A stage that something of the release depends on."""

    name: str
    key: str


class ManifestDataset(_Part):
    """A dataset, frozen."""

    name: str
    md5: Md5


class ManifestWaiver(_Part):
    """Why a gate may fail; ``gate`` is STAGE.METRIC."""

    gate: str
    reason: str


class Manifest(_Part):
    """What every release of layout 1 says of itself."""

    version: int
    name: Annotated[str, AfterValidator(_release_name)]
    release: VersionText
    tag: str
    previous: VersionText | None
    commit: Commit
    repository: str | None
    directory: str  # of the project in its repository; "" at the top
    pipeline: InsidePath
    profiles: list[str]
    set: list[str]
    params: dict[str, Any]
    artifacts: Annotated[list[ManifestArtifact], Field(min_length=1, max_length=_MOST_ARTIFACTS)]
    files: list[ManifestFile]
    stages: list[ManifestStage]
    datasets: list[ManifestDataset]
    gates: list[ManifestGate]
    waivers: list[ManifestWaiver]
    reason: str | None

    @property
    def listed(self) -> dict[str, ManifestFile]:
        """The files by path."""
        return {file.path: file for file in self.files}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a release folder; whether the folder is what it says is not looked at.

    Raises:
        DataError: there is none, or it is none that this mlbuild can read.
    """
    file = folder / NAME
    try:
        with opened(file) as stream:
            data = stream.read(MAX_BYTES + 1) or b""  # None: a pipe that nobody writes to
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    manifest, findings = manifest_of(data)
    if manifest is None:
        problems = (Problem(f"{folder}/{f.where}: {f.what}", hint=f.remedy) for f in findings)
        raise DataError(*problems)
    return manifest


def manifest_of(data: bytes) -> tuple[Manifest | None, list[Finding]]:
    """The manifest that bytes are, or None and everything that is wrong with them."""
    try:
        value = parse(data)
    except ValueError as error:
        return None, [_finding(NAME, str(error))]
    if wrong := _other_layout(value):
        return None, [wrong]
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        return None, list(_worded(error))
    findings = list(_contradictions(manifest))
    if data != canonical_json(value):
        findings.append(_finding(NAME, "is not spelled as mlbuild writes it: something was edited"))
    return manifest, findings


def _other_layout(value: Json) -> Finding | None:
    if not isinstance(value, Mapping):
        return _finding(NAME, "is not an object")
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return _finding(f"{NAME}: version", "does not say which layout it has", str(LAYOUT))
    if version > LAYOUT:
        what = f"the release has layout {version}, and this mlbuild knows layouts up to {LAYOUT}"
        remedy = f"update mlbuild to a version that reads releases of layout {version}"
        return Finding(About.MANIFEST, f"{NAME}: version", what, remedy=remedy)
    return None


def _worded(error: ValidationError) -> Iterator[Finding]:
    for row in error.errors(include_url=False, include_context=False):
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in row["loc"])
        found = None if row["type"] == "missing" else _brief(row["input"])
        what = row["msg"].removeprefix("Value error, ")
        yield _finding(f"{NAME}: {place.lstrip('.')}", what[0].lower() + what[1:], found=found)


def _brief(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _contradictions(manifest: Manifest) -> Iterator[Finding]:
    """What is well formed and cannot be true."""
    folder = f"{manifest.directory}=" if manifest.directory else ""
    tag = f"{folder}{manifest.name}@v{manifest.release}"
    if manifest.tag != tag:
        yield _finding(f"{NAME}: tag", "is not the tag of this release", tag, manifest.tag)
    yield from _order(manifest)
    paths = [file.path for file in manifest.files]
    for path, times in Counter(paths).items():
        if times > 1:
            yield _finding(f"{NAME}: files", f"{path} is listed {times} times")
        if path in UNLISTED:
            yield _finding(f"{NAME}: files", f"{path} cannot be listed")
    for one, other in collisions(dict.fromkeys(paths)):
        what = f"{one} and {other} are one and the same where case does not count"
        yield _finding(f"{NAME}: files", what)
    yield from _artifacts(manifest)


def _order(manifest: Manifest) -> Iterator[Finding]:
    version = Version.parse(manifest.release)
    before = Version.parse(manifest.previous) if manifest.previous else None
    if version and before and before >= version:
        what = "the release before is not before"
        yield _finding(f"{NAME}: previous", what, f"less than {version}", str(before))


def _artifacts(manifest: Manifest) -> Iterator[Finding]:
    listed = manifest.listed
    names = Counter(artifact.name for artifact in manifest.artifacts)
    yield from (
        _finding(f"{NAME}: artifacts", f"two artifacts are named {name}")
        for name, times in names.items()
        if times > 1
    )
    for number, artifact in enumerate(manifest.artifacts):
        where = f"{NAME}: artifacts[{number}]"
        if not artifact.path.startswith(f"artifacts/{artifact.name}/"):
            what = "an artifact lies in the folder of its name"
            yield _finding(f"{where}.path", what, f"artifacts/{artifact.name}/...", artifact.path)
        lie = [p for p in listed if p == artifact.path or p.startswith(f"{artifact.path}/")]
        if sorted(lie) != sorted(artifact.files):
            what = f"the files of {artifact.name} are not those listed under {artifact.path}"
            odd = sorted({*lie} ^ {*artifact.files}) or sorted(artifact.files)
            yield _finding(f"{where}.files", what, found=", ".join(odd[:5]))
        size = sum(listed[path].size for path in lie)
        if size != artifact.size:
            what = f"the size of {artifact.name} is not that of its files"
            yield _finding(f"{where}.size", what, str(size), str(artifact.size))
    inside = {path for artifact in manifest.artifacts for path in artifact.files}
    for path in sorted(listed):
        if path not in inside and path not in DOCUMENTS:
            what = f"{path} belongs to no artifact and is no document of a release"
            yield _finding(f"{NAME}: files", what)


def _finding(
    where: str, what: str, expected: str | None = None, found: str | None = None
) -> Finding:
    remedy = "this is not what mlbuild wrote: get the release again from where it was published"
    return Finding(About.MANIFEST, where, what, expected, found, remedy)
