"""`mlbuild status`: what a run would do, and why."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.cli.overview import overview
from mlbuild.cli.pipelines import is_file
from mlbuild.errors import UsageError
from mlbuild.report.events import line, plan_events, status_event
from mlbuild.report.listener import Silent
from mlbuild.report.plan import print_plan
from mlbuild.report.screen import standard_output
from mlbuild.report.terminal import plain_console
from mlbuild.report.text import Text


@click.command("status", epilog="Example: mlbuild status pipelines/dogs.yaml --set bits=4")
@click.argument("pipeline", required=False, type=click.Path(path_type=Path))
@options.TARGETS
@options.variations
@click.option("--remote", is_flag=True, help="Ask the team's remote what it could restore.")
@options.JSON
def command(
    pipeline: Path | None,
    targets: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    remote: bool,
    as_json: bool,
) -> int:
    """Tell for each stage of PIPELINE what a run would do, and why. Runs and fetches nothing.

    Without PIPELINE, all of the project at a glance, a line each; several files may be given.
    """
    others = [Path(name) for name in targets if is_file(name)]
    if pipeline is None or others:
        if sets or profiles or remote:
            raise UsageError("--set, --profile and --remote need one PIPELINE")
        if len(others) < len(targets):
            raise UsageError("targets need one PIPELINE", hint="name either files or stages of one")
        return overview([pipeline, *others] if pipeline else [], as_json)
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    listener = Silent() if as_json else Text(standard_output())
    planned = loaded.plan(RunOptions(targets=targets), listener, remote=remote)
    if as_json:
        for event in [*plan_events(planned), status_event(loaded.name, planned)]:
            click.echo(line(event))
    else:
        print_plan(plain_console(), loaded.name, planned)
    return 0
