"""`mlbuild shell`: a shell in a stage's toolchain with its job at hand."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mlbuild.build import Pipeline
from mlbuild.cli import options
from mlbuild.cli.progress import told_on
from mlbuild.report.terminal import plain_console


@click.command("shell", epilog="Example: mlbuild shell pipelines/dogs.yaml convert")
@options.PIPELINE
@click.argument("stage")
@options.variations
def command(pipeline: Path, stage: str, sets: tuple[str, ...], profiles: tuple[str, ...]) -> int:
    """Open a shell with the environment, toolchain and job of STAGE, for debugging.

    What the stage needs must be built. Its outputs go to a scratch folder and are not recorded.
    """
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    name = options.only_stage(loaded, stage)
    with told_on(plain_console(stderr=True), name) as progress:
        plan = loaded.shell(name, progress)
    click.echo(plan.hint, err=True)
    os.chdir(plan.cwd)
    os.execvpe(plan.argv[0], plan.argv, plan.env)
