"""`mlbuild status`: what a run would do, and why."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.report.events import line, plan_events, status_event
from mlbuild.report.plan import print_plan
from mlbuild.report.text import plain_console


@click.command("status", epilog="Example: mlbuild status pipelines/dogs.yaml --set bits=4")
@options.PIPELINE
@options.TARGETS
@options.variations
@options.JSON
def command(
    pipeline: Path,
    targets: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    as_json: bool,
) -> int:
    """Tell for each stage of PIPELINE what a run would do, and why. Runs and fetches nothing."""
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    planned = loaded.plan(RunOptions(targets=targets))
    if as_json:
        for event in [*plan_events(planned), status_event(loaded.name, planned)]:
            click.echo(line(event))
    else:
        print_plan(plain_console(), loaded.name, planned)
    return 0
