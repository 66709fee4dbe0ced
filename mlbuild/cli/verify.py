"""`mlbuild verify`: whether artifacts are what the ledger says they are, and whose results."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from mlbuild.cli import options
from mlbuild.cli.progress import told_on
from mlbuild.errors import EXIT_DATA, UsageError
from mlbuild.records import Progress
from mlbuild.report.terminal import plain_console
from mlbuild.store.verify import Origin, Status, Verdict, Verifier, find_root

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 20  # differing files of one folder, on the screen; --json tells all
_QUIET_SECONDS = 2.0


def _releases(function: F) -> F:
    """What may be asked of a release."""
    for option in reversed(_OF_RELEASES):
        function = option(function)
    return function


_PATH = click.Path(path_type=Path)
_OF_RELEASES = (
    click.option("--key", type=_PATH, help="Of releases: the public key of who must have signed."),
    click.option("--identity", help="Of releases: who must have signed without a key."),
    click.option("--issuer", help="Of releases: who vouches for that identity."),
    click.option("--signed", is_flag=True, help="Of releases: unsigned ones are refused."),
    click.option("--name", help="Of releases: the model that it must be a release of."),
    click.option("--version", help="Of releases: the version that it must have."),
    click.option("--at-least", help="Of releases: the oldest version that is accepted."),
)


@click.command(
    "verify",
    epilog="Example: mlbuild verify build/dogs/package/Dogs\n\n"
    "         mlbuild verify pipelines/dogs.yaml\n\n"
    "         mlbuild verify releases/dogs/v1.2.0 --key keys/release.pub --at-least 1.1.0",
)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@_releases
@options.JSON
def command(paths: tuple[Path, ...], as_json: bool, **wanted: Any) -> int:
    """Hold each PATH against dvc.lock: where it came from, and whether it is still that.

    A PATH is an output, something inside one, a folder of outputs, or a pipeline file: all of its
    outputs. Every byte is read; nothing is written, and neither network nor .mlbuild/ is needed.

    A PATH that is the folder of a release is held against its manifest, its signature and its
    documents, and in the project that releases it against the tag and the ledger of then; all of
    it offline. The public key is --key, or the one that the pipeline here names.

    Exits with 0 if all are intact, else with 4.
    """
    from mlbuild.cli import verifying  # lazy: what only releases need takes 0.2 s

    verifiers: dict[Path, Verifier] = {}
    found: list[Verdict] = []
    checked: list[bool] = []  # of releases: whether nothing is wrong
    asked = verifying.Wanted(**wanted)
    with told_on(plain_console(stderr=True), "reading") as tell:
        for path in paths:
            if asked.anything or verifying.is_release(path):
                release = verifying.verify_release(path, asked, _patient(tell))
                verifying.echo(release, str(path), as_json)
                checked.append(release.ok)
                continue
            # `..` goes, links stay: an output may be a link into the cache.
            whole = path.parent.resolve() / path.name if path.name != ".." else path.resolve()
            root = find_root(whole) or find_root(Path.cwd().resolve())
            if root is None:
                hint = "run it in a project that `mlbuild run` has built, or name a path of one"
                raise UsageError(f"there is no dvc.lock above {path}", hint=hint)
            verifier = verifiers.setdefault(root, Verifier(root))
            for verdict in verifier.verify(whole, _patient(tell)):
                found.append(verdict)
                if as_json:
                    click.echo(_line(verdict, root))
    counted = Counter(verdict.status for verdict in found)
    ok = set(counted) <= {Status.INTACT} and all(checked) and bool(counted or checked)
    if as_json:
        event = {"event": "verify", "ok": ok, **_counts(counted)}
        if checked:
            event["releases"] = {"intact": sum(checked), "refused": checked.count(False)}
        click.echo(json.dumps(event))
    elif found:
        _print(found, verifiers)
    return 0 if ok else EXIT_DATA


def _patient(tell: Progress) -> Progress:
    """Says nothing of what is done in a moment."""
    began = time.monotonic()

    def patient(done: float, total: float | None, text: str) -> None:
        if time.monotonic() - began > _QUIET_SECONDS:
            tell(done, total, text)

    return patient


def _print(found: list[Verdict], roots: Iterable[Path]) -> None:
    """One artifact with all its facts; of many, all facts of those that are not intact."""
    (root,) = roots if len(list(roots)) == 1 else (Path("/"),)
    brief = len(found) > 1
    for verdict in found:
        click.echo("\n".join(_text(verdict, root, brief and verdict.status is Status.INTACT)))
    if brief:
        counts = _counts(Counter(verdict.status for verdict in found))
        shown = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
        click.echo(f"{len(found)} artifacts: {shown}")


def _counts(counted: Mapping[Status, int]) -> dict[str, int]:
    return {str(status): counted.get(status, 0) for status in Status}


def _line(verdict: Verdict, root: Path) -> str:
    event: dict[str, Any] = {
        "event": "artifact",
        "path": _shown(verdict.path, root),
        "status": str(verdict.status),
        "found": verdict.found,
    }
    if verdict.artifact:
        origin = verdict.artifact.origin
        record = origin.record
        event |= {
            "recorded": verdict.artifact.digest.md5,
            "pipeline": origin.pipeline,
            "stage": origin.stage,
            "key": record.key if record else None,
            "deps": dict(origin.deps),
            "parts": dict(record.parts) if record else None,
            "changed": list(verdict.changed),
            "added": list(verdict.added),
            "missing": list(verdict.missing),
        }
    return json.dumps(event | {"notes": list(verdict.notes)})


def _text(verdict: Verdict, root: Path, brief: bool) -> Iterator[str]:
    artifact, name = verdict.artifact, _shown(verdict.path, root)
    if artifact and brief:
        notes = "".join(f", {note}" for note in verdict.notes)
        yield f"{name}: {verdict.status}, {_maker(artifact.origin)}{notes}"
        return
    yield f"{name}: {verdict.status}"
    for note in verdict.notes:
        yield f"  {note}"
    if artifact and verdict.status is Status.MODIFIED:
        yield f"  recorded   {artifact.digest.md5}"
        yield f"  found      {verdict.found}"
    for what in ("changed", "added", "missing"):
        names = getattr(verdict, what)
        yield from (f"  {what:10} {name}" for name in names[:_SHOWN])
        if len(names) > _SHOWN:
            yield f"  {what:10} and {len(names) - _SHOWN} more"
    if artifact:
        yield from _origin(artifact.origin)


def _maker(origin: Origin) -> str:
    if origin.name.endswith(".dvc"):
        return f"tracked by {origin.name}"
    if origin.record is None:
        return f"made by stage {origin.name} of dvc.yaml"
    return f"made by stage {origin.stage} of {origin.pipeline}"


def _origin(origin: Origin) -> Iterator[str]:
    yield f"  {_maker(origin)}"
    record = origin.record
    if record is None:
        yield from (f"  input      {path} {md5}" for path, md5 in origin.deps.items())
        return
    yield f"  key        {record.key}"
    parts = record.parts
    for role, md5 in parts.get("inputs", {}).items():
        digests = [md5] if not isinstance(md5, list) else [row[1] for row in md5]
        yield from (f"  input      {role} {_read_from(digest, origin.deps)}" for digest in digests)
    for name, value in parts.get("params", {}).items():
        yield f"  parameter  {name}: {json.dumps(value)}"
    for name in ("kind", "command", "code", "toolchain"):
        if parts.get(name):
            yield f"  {name:10} {parts[name]}"


def _read_from(md5: str, deps: Mapping[str, str]) -> str:
    paths = [path for path, known in deps.items() if known == md5]
    return f"{md5} ({', '.join(paths)})" if paths else str(md5)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
