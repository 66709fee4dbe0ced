"""`mlbuild explain`: what of a stage's key changed."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.meaning import Meanings
from mlbuild.records import Decision
from mlbuild.report.events import line, plan_events
from mlbuild.report.explain import explain
from mlbuild.report.listener import Silent
from mlbuild.report.plan import explanation
from mlbuild.report.screen import standard_output
from mlbuild.report.text import Text


@click.command("explain", epilog="Example: mlbuild explain pipelines/dogs.yaml quantize[bits=4]")
@options.PIPELINE
@click.argument("stages", nargs=-1, required=True, metavar="STAGE...")
@options.variations
@click.option("--remote", is_flag=True, help="Ask the team's remote what it could restore.")
@click.option("-v", "--all", "everything", is_flag=True, help="Cut nothing: all files, all text.")
@options.JSON
def command(
    pipeline: Path,
    stages: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    remote: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Show what a run would do with each STAGE of PIPELINE, and what of its key changed.

    Parameter by parameter, package by package, and folders file by file.
    """
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    asked = set(loaded.selection(RunOptions(targets=stages, only=True)))
    listener = Silent() if as_json else Text(standard_output())
    planned = loaded.plan(RunOptions(targets=stages), listener, remote=remote)
    meanings = Meanings(loaded.resolved, loaded.store, loaded.kinds, loaded.toolchains())
    unsettled = {p.stage.name for p in planned if p.decision in (Decision.RUN, Decision.PENDING)}
    for item in planned:
        if item.stage.name not in asked:
            continue
        meanings.look_at(item)
        told = explain(item, meanings, unsettled)
        if as_json:
            event = plan_events([item])[0] | told.as_json()
            event["now"] = dict(item.parts)
            event["before"] = dict(item.previous.parts) if item.previous else None
            click.echo(line(event))
        else:
            click.echo("\n".join(explanation(told, everything)))
    return 0
