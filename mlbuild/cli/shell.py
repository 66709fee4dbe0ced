"""`mlbuild shell`: a shell in a stage's toolchain with its job at hand."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import options


@click.command("shell", epilog="Example: mlbuild shell pipelines/dogs.yaml convert")
@options.PIPELINE
@click.argument("stage")
@options.variations
def command(
    pipeline: Path, stage: str, sets: tuple[str, ...], profiles: tuple[str, ...]
) -> int:
    """Open a shell with the environment, toolchain and job of STAGE, for debugging.

    What the stage needs must be built. Its outputs go to a scratch folder and are not recorded.
    """
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    name = options.only_stage(list(loaded.graph.order), stage)
    argv, environment, cwd, hint = loaded.shell(name, RunOptions(targets=[name]))
    click.echo(hint, err=True)
    os.chdir(cwd)
    os.execvpe(argv[0], argv, environment)
