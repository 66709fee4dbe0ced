"""`mlbuild verify`: whether artifacts are what the ledger says they are, and whose results."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from mlbuild.cli import options
from mlbuild.cli.progress import told_on
from mlbuild.errors import EXIT_DATA, UsageError
from mlbuild.records import Progress
from mlbuild.report.terminal import plain_console
from mlbuild.store.verify import Origin, Status, Verdict, Verifier, find_root

_SHOWN = 20  # differing files of one folder, on the screen; --json tells all
_QUIET_SECONDS = 2.0


@click.command(
    "verify",
    epilog="Example: mlbuild verify build/dogs/package/Dogs\n\n"
    "         mlbuild verify pipelines/dogs.yaml",
)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@options.JSON
def command(paths: tuple[Path, ...], as_json: bool) -> int:
    """Hold each PATH against dvc.lock: where it came from, and whether it is still that.

    A PATH is an output, something inside one, a folder of outputs, or a pipeline file: all of its
    outputs. Every byte is read; nothing is written, and neither network nor .mlbuild/ is needed.
    Exits with 0 if all are intact, else with 4.
    """
    verifiers: dict[Path, Verifier] = {}
    found: list[Verdict] = []
    with told_on(plain_console(stderr=True), "reading") as tell:
        for path in paths:
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
    ok = set(counted) == {Status.INTACT}
    if as_json:
        click.echo(json.dumps({"event": "verify", "ok": ok, **_counts(counted)}))
    else:
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
