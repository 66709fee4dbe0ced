"""`mlbuild graph`: draw the pipeline's stages."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options
from mlbuild.report.drawing import FORMATS, draw


@click.command("graph", epilog="Example: mlbuild graph pipelines/dogs.yaml --format mermaid")
@options.PIPELINE
@options.TARGETS
@options.variations
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
def command(
    pipeline: Path,
    targets: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    style: str,
) -> int:
    """Draw the stages of PIPELINE in processing order, and what each of them reads."""
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    stages = {s.name: s for s in loaded.resolved.stages}
    names = loaded.selection(RunOptions(targets=targets))
    click.echo(draw([stages[n] for n in names], style))
    return 0
