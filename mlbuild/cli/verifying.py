"""`mlbuild verify` of release folders: what is asked, where the answer is known, how it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mlbuild.cli.pipelines import here, pipeline_files
from mlbuild.errors import DataError, Problem, UsageError
from mlbuild.records import Json, Progress
from mlbuild.release.checking.finding import shown
from mlbuild.release.checking.identity import Asked
from mlbuild.release.checking.keys import Signer, WithIdentity, public_key, with_key
from mlbuild.release.checking.release import Checked, checked
from mlbuild.release.expected import Releasing, releasing, signer_of
from mlbuild.release.manifest_reading import NAME, read_manifest
from mlbuild.released import releases

# Two of these make a folder a release, or what is left of one. An .mlpackage has `Manifest.json`,
# which is `manifest.json` to a file system that ignores case: names are compared here.
_MARKS = frozenset(
    {NAME, "artifacts", "model.sig", "provenance.json", "bom.cdx.json", "card.html", "NOTES.md"}
)
_SHOWN = 20  # findings of one release, on the screen; --json tells all


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks of the releases."""

    key: Path | None = None
    identity: str | None = None
    issuer: str | None = None
    signed: bool = False
    name: str | None = None
    version: str | None = None
    at_least: str | None = None

    @property
    def anything(self) -> bool:
        """Whether something is asked that only a release can answer."""
        return self != Wanted()


def is_release(path: Path) -> bool:
    """Whether a path is the folder of a release, or was one."""
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return False
    return len(names & _MARKS) > 1


def verify_release(folder: Path, wanted: Wanted, progress: Progress) -> Checked:
    """Checks one release folder, with all that the command line and the project here say.

    Raises:
        UsageError: the options do not fit together.
        DataError: a key, the folder or the repository cannot be read.
    """
    _refuse_nonsense(wanted)
    asked = Asked(wanted.name, wanted.version, wanted.at_least)
    name = wanted.name or _says(folder)
    root, pipeline = _home(name, folder) if name else (None, None)
    signer, notes = _signer(wanted), list[str]()
    if signer is None and pipeline and root:
        signer = signer_of(pipeline.sign, root)
    if signer is None and wanted.signed:
        what = "--signed: whose signature is not said, and anybody can sign"
        hint = (
            "--key, --identity and --issuer, or `release: sign: public_key:` in the pipeline here"
        )
        raise UsageError(Problem(what, hint=hint))
    if root is None:
        notes.append("tag and ledger were not checked: this is not the project that releases it")
    signed = wanted.signed or bool(pipeline and pipeline.sign)
    found = checked(folder, signer=signer, signed=signed, asked=asked, root=root, progress=progress)
    return replace(found, notes=(*found.notes, *notes))


def _refuse_nonsense(wanted: Wanted) -> None:
    if (wanted.identity is None) != (wanted.issuer is None):
        hint = "such as --issuer https://token.actions.githubusercontent.com"
        raise UsageError(Problem("--identity and --issuer belong together", hint=hint))
    if wanted.key and wanted.identity:
        raise UsageError("--key and --identity exclude each other: a release has one signature")


def _says(folder: Path) -> str | None:
    try:
        return read_manifest(folder).name
    except DataError:  # told in full by the check
        return None


def _home(name: str, folder: Path) -> tuple[Path | None, Releasing | None]:
    """The project that the command stands in, if it releases that name; and by which pipeline."""
    root = here()
    if root.is_relative_to(folder.resolve()):
        return None, None  # a release cannot vouch for itself, whatever pipelines lie in it
    pipeline = releasing((file for file in pipeline_files(root) if file.exists()), name)
    try:
        tagged = releases(root, name)
    except DataError:  # no git repository: nothing in it can agree or disagree
        return (None, pipeline)
    return (root, pipeline) if pipeline or tagged else (None, None)


def _signer(wanted: Wanted) -> Signer | None:
    if wanted.key is not None:
        return with_key(public_key(wanted.key), str(wanted.key))
    if wanted.identity and wanted.issuer:
        return WithIdentity(wanted.identity, wanted.issuer)
    return None


# --- telling ------------------------------------------------------------------------------------


def events(found: Checked, path: str) -> Iterator[dict[str, Json]]:
    """Lines of `--json`: each finding, then the release."""
    for finding in found.findings:
        yield finding.event() | {"release": path}
    manifest = found.manifest
    yield {
        "event": "release",
        "path": path,
        "ok": found.ok,
        "name": manifest.name if manifest else None,
        "version": manifest.release if manifest else None,
        "tag": manifest.tag if manifest else None,
        "commit": manifest.commit if manifest else None,
        "signed_by": found.signed_by,
        "files": found.files,
        "size": found.size,
        "findings": len(found.findings),
        "notes": list(found.notes),
    }


def lines(found: Checked, path: str) -> Iterator[str]:
    """What is printed of a release."""
    count = len(found.findings)
    verdict = "intact" if found.signed_by else "intact; who made it is not proven"
    if not found.ok:
        verdict = f"refused, {count} finding{'s' if count > 1 else ''}"
    yield f"{shown(path)}: {verdict}"
    if manifest := found.manifest:
        yield f"  release    {manifest.name} {manifest.release} (tag {shown(manifest.tag)})"
        yield f"  made of    {shown(manifest.pipeline)} at {manifest.commit}"
        yield from (
            f"  holds      {shown(a.name)}: {shown(a.path)}, {shown(a.type)}"
            for a in manifest.artifacts
        )
    yield f"  files      {found.files}, {found.size} bytes"
    if found.signed_by:
        yield f"  signed by  {shown(found.signed_by)}"
    yield from (f"  note       {shown(note)}" for note in found.notes)
    for finding in found.findings[:_SHOWN]:
        yield from (f"  {line}" for line in finding.lines())
    if count > _SHOWN:
        yield f"  and {count - _SHOWN} findings more: --json tells all"


def echo(found: Checked, path: str, as_json: bool) -> None:
    """Prints what is known of a release."""
    told = (json.dumps(event) for event in events(found, path)) if as_json else lines(found, path)
    for line in told:
        click.echo(line)
