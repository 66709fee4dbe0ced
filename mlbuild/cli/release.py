"""`mlbuild release`: release what HEAD holds, or tell what would be released."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import modeljob, options
from mlbuild.errors import Problem, UsageError
from mlbuild.lazily import lazily
from mlbuild.records import BuildResult, Json, Progress
from mlbuild.store import gitignore
from mlbuild.store.commit import RELEASES
from mlbuild.store.pins import SUFFIX, Variation, read_head
from mlbuild.store.project import Store

if TYPE_CHECKING:
    from mlbuild.release import flow, promoting, signing, telling, terms
else:  # `mlbuild release --help` needs none of it
    flow, promoting = lazily("mlbuild.release.flow"), lazily("mlbuild.release.promoting")
    signing, telling = lazily("mlbuild.release.signing"), lazily("mlbuild.release.telling")
    terms = lazily("mlbuild.release.terms")

_QUIET_SECONDS = 5.0
_WAIVER = re.compile(r"([^=\[]+(?:\[[^\]]*\][^=]*)?)=(.*)", re.S)


@click.command(
    "release",
    epilog="Example: mlbuild release pipelines/dogs.yaml --dry-run\n\n"
    "         mlbuild release pipelines/dogs.yaml --promote 1.2.0 --channel prod",
)
@options.PIPELINE
@click.option("-n", "--dry-run", is_flag=True, help="Show everything; change nothing.")
@click.option("--version", metavar="X", help="Not the computed version; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why; it is recorded.")
@click.option(
    "--waive",
    multiple=True,
    metavar="STAGE.METRIC=REASON",
    help="Let a gate fail this once; may be repeated.",
)
@click.option(
    "--channel", "channels", multiple=True, metavar="NAME", help="Put it into a channel too."
)
@click.option("--promote", metavar="VERSION", help="Only put that release into the --channel.")
@click.option(
    "--new-key",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Only make a key pair to sign with: PATH and PATH.pub.",
)
@click.option("--no-publish", is_flag=True, help="Send it nowhere: folder and tag alone.")
@click.option("--no-push", is_flag=True, help="Leave the tag in this clone.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Where folders of releases go; '{RELEASES}' of the project by default.",
)
@options.variations
@options.JSON
def command(
    pipeline: Path,
    dry_run: bool,
    version: str | None,
    reason: str | None,
    waive: tuple[str, ...],
    channels: tuple[str, ...],
    promote: str | None,
    new_key: Path | None,
    no_publish: bool,
    no_push: bool,
    output: Path | None,
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    as_json: bool,
) -> int:
    """Release what HEAD holds of PIPELINE: gates, version, folder, tag, publishers.

    Nothing is executed: every result must be in place or in the team's cache, as the committed
    ledger records it. A release that was cut off is completed by the same command. Exits with 4
    if something would have to run or cannot be reached, and with 5 if a gate does not hold.
    """
    built = variation_of(pipeline, profiles, sets)
    loaded = Pipeline.load(pipeline, profiles=built.profiles, sets=built.sets)
    if new_key is not None:
        return _make_key(new_key, loaded.root)
    tell = _silent if as_json else click.echo
    if promote is not None:
        names = promoting.promote(loaded.resolved, promote, channels, push=not no_push, dry=dry_run)
        event: Mapping[str, Json] = {"event": "release", "outcome": "promoted", "tags": names}
        shown = telling.promoted(names, dry=dry_run)
        click.echo(json.dumps(event) if as_json else shown)
        return 0
    wish = terms.Wish(
        folder=(output or loaded.root / RELEASES).absolute(),
        dry=dry_run,
        version=version,
        reason=reason,
        waived=waivers_of(waive),
        channels=channels,
        publish=not no_publish,
        push=not no_push,
    )
    done = flow.release(project_of(loaded, built, _Patient()), wish, tell)
    if as_json:
        click.echo(json.dumps(telling.event(done, loaded.root)))
    else:
        click.echo(telling.text(done, loaded.root))
    return done.exit_code


def _make_key(private: Path, root: Path) -> int:
    """A key pair; the private one is kept out of git."""
    public, place = private.with_name(f"{private.name}.pub"), private.absolute().resolve()
    signing.new_key(private, public)
    click.echo(f"{private}: keep it secret")
    if place.is_relative_to(root.resolve()):
        for file in gitignore.ignore(root, [place.relative_to(root.resolve()).as_posix()]):
            click.echo(f"{file.relative_to(root)}: keeps it out of git; commit that")
    click.echo(f"{public}: commit it, and name it in release: sign:")
    return 0


def variation_of(pipeline: Path, profiles: Sequence[str], sets: Sequence[str]) -> Variation:
    """The profiles and values that were given, or else those of the recorded build."""
    if profiles or sets:
        return Variation(tuple(profiles), tuple(sets))
    return read_head(pipeline.with_name(f"{pipeline.stem}{SUFFIX}")).built


def project_of(loaded: Pipeline, built: Variation, progress: Progress) -> terms.Project:
    """What a release asks of the engine."""

    def build(waived: Mapping[str, str]) -> tuple[BuildResult, Store]:
        result = loaded.run(RunOptions(locked=True, waived=waived))
        return result, loaded.store

    def inspect(md5: str, place: Path) -> Mapping[str, Json]:
        found = modeljob.answer("released", place, {})
        return dict(found)

    def meanings(kind: str) -> Mapping[str, Mapping[str, Json]]:
        metrics = loaded.kinds.get(kind).kind.metrics
        return {
            name: {"description": m.help, "unit": m.unit, "better": m.better}
            for name, m in metrics.items()
        }

    return terms.Project(
        pipeline=loaded.resolved,
        profiles=built.profiles,
        sets=built.sets,
        plan=lambda waived: loaded.plan(RunOptions(locked=True, waived=waived)),
        build=build,
        inspect=inspect,
        meanings=meanings,
        environ=os.environ,
        progress=progress,
    )


def waivers_of(given: Sequence[str]) -> dict[str, str]:
    """`validate[bits=6].psnr_db=REASON`: a variant's name holds '=' itself."""
    found: dict[str, str] = {}
    for text in given:
        match = _WAIVER.fullmatch(text)
        if match is None:
            hint = "--waive 'validate.psnr_db=collies are puppies'"
            raise UsageError(Problem("--waive names a gate and a reason", got=text, hint=hint))
        found[match[1].strip()] = match[2].strip()
    return found


class _Patient:
    """Tells of long transfers now and then; no bar, since jobs that look into models have one."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, done: float, total: float | None, text: str) -> None:
        """Called with bytes done, bytes in all, and of what."""
        now = time.monotonic()
        if now - self._told < _QUIET_SECONDS:
            return
        self._told = now
        share = f" {100 * done / total:.0f} %" if total else ""
        click.echo(f"release: {text}{share}", err=True)


def _silent(text: str) -> None:
    """With --json, standard output holds JSON alone."""
