"""`mlbuild run`: build what changed."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from mlbuild import reproducible
from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.errors import EXIT_DATA
from mlbuild.records import BuildResult, Decision, Listener, Stage
from mlbuild.report.events import JsonLines, line, plan_events, status_event
from mlbuild.report.plan import print_plan
from mlbuild.report.text import Text, plain_console
from mlbuild.store.pins import Variation, built_for


@click.command(
    "run",
    epilog="Example: mlbuild run pipelines/dogs.yaml package -j 2 --set bits=6",
    short_help="Build what changed.",
)
@options.PIPELINE
@options.TARGETS
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, help="Stages at one time.")
@options.variations
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be done; do nothing.")
@click.option("--only", is_flag=True, help="Run the targets alone, not what they need.")
@click.option("--force", multiple=True, metavar="STAGE", help="Run it though nothing changed.")
@click.option("-k", "--keep-going", is_flag=True, help="Go on with what a failure leaves possible.")
@click.option("--no-pull", is_flag=True, help="Do not fetch missing data from the DVC remote.")
@click.option("--no-record", is_flag=True, help="Leave dvc.yaml and dvc.lock alone.")
@click.option("--locked", is_flag=True, help="Never run a stage: exit 4 and list what would run.")
@click.option("--offline", is_flag=True, help="Use no network.")
@click.option("--executor", type=click.Choice(["local"]), default="local", help="Where to run.")
@click.option("--strace", is_flag=True, help="See what all programs of stages read (Linux).")
@click.option("--check-reproducible", metavar="STAGE", help="Run it twice and compare the bytes.")
@options.JSON
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the summary.")
@click.option("-v", "--verbose", is_flag=True, help="Also what stages log.")
def command(
    pipeline: Path,
    targets: tuple[str, ...],
    jobs: int,
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    dry_run: bool,
    only: bool,
    force: tuple[str, ...],
    keep_going: bool,
    no_pull: bool,
    no_record: bool,
    locked: bool,
    offline: bool,
    executor: str,
    strace: bool,
    check_reproducible: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Build what changed in PIPELINE, or only what the TARGETS need.

    A target is a stage (`quantize`) or one variant (`quantize[bits=4]`).
    """
    del executor  # one choice so far; the option stands so that scripts can name it
    if no_record and not (profiles or sets):
        profiles, sets = _as_built(pipeline)
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    chosen = RunOptions(
        targets=targets,
        jobs=jobs,
        only=only,
        force=force,
        keep_going=keep_going,
        pull=not no_pull,
        record=not no_record,
        locked=locked,
        offline=offline,
        strace=strace,
        # The no-op path knows a build by the arguments that led to it.
        arguments=tuple(sys.argv[1:]),
        caller=Path.cwd(),
        told_again=partial(_told_again, as_json, verbose - quiet),
    )
    if dry_run:
        planned = loaded.plan(chosen)
        if as_json:
            for event in [*plan_events(planned), status_event(loaded.name, planned)]:
                click.echo(line(event))
        else:
            print_plan(plain_console(), loaded.name, planned)
        stale = any(p.decision in (Decision.RUN, Decision.PENDING) for p in planned)
        return EXIT_DATA if locked and stale else 0
    listener: Listener = Text(plain_console(), level=verbose - quiet)
    if as_json:
        listener = JsonLines(lambda text: print(text, flush=True))  # noqa: T201
    if check_reproducible:
        return reproducible.check(loaded, check_reproducible, chosen, listener).exit_code
    return loaded.run(chosen, listener).exit_code


def _as_built(pipeline: Path) -> Variation:
    """The profiles and values of the last build, where `dvc repro` rebuilds a stage of it.

    The stage's command in dvc.yaml names none; without them DVC would put something else in place
    of what it found stale.
    """
    stage = os.environ.get("DVC_STAGE")
    built = built_for(pipeline, stage) if stage else Variation()
    if any(built):
        click.echo(f"as built last: {shlex.join(built.arguments())}", err=True)
    return built


def _told_again(as_json: bool, level: int, stages: Sequence[Stage], result: BuildResult) -> str:
    """What the same command prints if it finds nothing changed."""
    out = io.StringIO()
    listener: Listener = Text(Console(file=out, soft_wrap=True), level)
    if as_json:
        listener = JsonLines(lambda text: out.write(text + "\n"))
    listener.began(result.pipeline, stages, 0)
    for stage in result.stages:
        listener.ended(stage)
    listener.finished(result)
    return out.getvalue()
