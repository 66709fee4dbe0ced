"""`mlbuild explain`: what of a stage's key changed."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.report.events import line, plan_events
from mlbuild.report.plan import explanation


@click.command("explain", epilog="Example: mlbuild explain pipelines/dogs.yaml quantize[bits=4]")
@options.PIPELINE
@click.argument("stages", nargs=-1, required=True, metavar="STAGE...")
@options.variations
@options.JSON
def command(
    pipeline: Path,
    stages: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show what a run would do with each STAGE of PIPELINE, and what of its key changed."""
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    asked = loaded.selection(RunOptions(targets=stages, only=True))
    planned = [p for p in loaded.plan(RunOptions(targets=stages)) if p.stage.name in asked]
    for item in planned:
        if as_json:
            event = plan_events([item])[0]
            event["now"] = dict(item.parts)
            event["before"] = dict(item.previous.parts) if item.previous else None
            click.echo(line(event))
        else:
            click.echo("\n".join(explanation(item)))
    return 0
