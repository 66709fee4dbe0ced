"""All checks of a release folder, one after the other; everything that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbuild.records import Progress
from mlbuild.release.checking.artifacts import check_artifacts
from mlbuild.release.checking.bom import check_bom
from mlbuild.release.checking.card import check_card
from mlbuild.release.checking.files import check_files
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder, look
from mlbuild.release.checking.gates import check_gates
from mlbuild.release.checking.identity import Asked, check_identity, check_place
from mlbuild.release.checking.keys import Signer, public_key, with_key
from mlbuild.release.checking.provenance import check_provenance
from mlbuild.release.checking.repository import check_ledger, check_tag
from mlbuild.release.checking.signature import check_signature
from mlbuild.release.manifest_reading import NAME, Manifest, manifest_of

_ORDER = list(About)


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a release folder."""

    folder: Path
    manifest: Manifest | None  # None: it cannot be read, and little else could be checked
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()  # what was not checked, and why
    signed_by: str | None = None  # proven
    files: int = 0
    size: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check(
    folder: Path,
    *,
    key: Path | None = None,
    signer: Signer | None = None,
    signed: bool = False,
    name: str | None = None,
    version: str | None = None,
    at_least: str | None = None,
    root: Path | None = None,
) -> list[Finding]:
    """What is wrong with a release folder; nothing, if the list is empty. See `checked`."""
    if key is not None:
        signer = with_key(public_key(key), str(key))
    asked = Asked(name, version, at_least)
    return list(checked(folder, signer=signer, signed=signed, asked=asked, root=root).findings)


def checked(
    folder: Path,
    *,
    signer: Signer | None = None,
    signed: bool = False,
    asked: Asked | None = None,
    root: Path | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Checks a release folder: what it holds, who signed it, and what its project says.

    Args:
        folder: of the release; nothing in it is trusted.
        signer: whose signature is expected; None: any is taken for what it is.
        signed: whether an unsigned release is wrong although nobody's signature is expected.
        asked: which release it must be.
        root: the project that made it, in a git repository; None: tag and ledger are not checked.
        progress: hears of each file.

    Raises:
        DataError: the folder, or git, cannot be read.
        UsageError: a signature is to be checked, and model-signing is not installed.
    """
    seen = look(folder, progress)
    signature = check_signature(seen, signer, must=signed)
    manifest, findings = _manifest(seen)
    findings += signature.findings
    if manifest is not None:
        findings += _all(seen, manifest, asked or Asked(), root)
    findings.sort(key=lambda finding: _ORDER.index(finding.about))
    size = sum(file.size for file in seen.files.values())
    return Checked(
        folder,
        manifest,
        tuple(findings),
        signature.notes,
        signature.by,
        len(seen.files),
        size,
    )


def _manifest(seen: Folder) -> tuple[Manifest | None, list[Finding]]:
    remedy = "this is not the whole folder of a release: get it again"
    if NAME not in seen.files:
        what = f"is {seen.strange[NAME]}" if NAME in seen.strange else "is not there"
        return None, [Finding(About.MANIFEST, NAME, what, remedy=remedy)]
    try:
        data = seen.document(NAME)
    except ValueError as error:
        return None, [Finding(About.MANIFEST, NAME, str(error), remedy=remedy)]
    return manifest_of(data)


def _all(seen: Folder, manifest: Manifest, asked: Asked, root: Path | None) -> Iterator[Finding]:
    yield from check_identity(manifest, asked)
    yield from check_place(seen.path, manifest)
    yield from check_files(seen, manifest)
    yield from check_artifacts(seen, manifest)
    yield from check_gates(manifest)
    yield from check_provenance(seen, manifest)
    yield from check_bom(seen, manifest)
    yield from check_card(seen, manifest)
    if root is not None:
        yield from check_tag(root, seen, manifest)
        yield from check_ledger(root, manifest)
