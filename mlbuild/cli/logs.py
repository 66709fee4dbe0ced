"""`mlbuild logs`: a stage's log."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.build import Pipeline
from mlbuild.cli import options
from mlbuild.errors import Problem, UsageError
from mlbuild.execute.logs import attempts
from mlbuild.execute.making import log_path


@click.command("logs", epilog="Example: mlbuild logs pipelines/dogs.yaml quantize[bits=4]")
@options.PIPELINE
@click.argument("stage")
@click.option("-n", "--attempt", type=click.IntRange(1, 3), default=1, help="1 is the last one.")
@options.variations
def command(
    pipeline: Path, stage: str, attempt: int, sets: tuple[str, ...], profiles: tuple[str, ...]
) -> int:
    """Show what STAGE wrote to its standard output and error when it last ran."""
    loaded = Pipeline.load(pipeline, profiles=profiles, sets=sets)
    name = options.only_stage(loaded, stage)
    found = attempts(log_path(loaded.store.state_dir, loaded.name, name))
    if len(found) < attempt:
        raise UsageError(
            Problem(
                f"stage '{name}' has no log of its attempt {attempt}",
                got=f"{len(found)} kept",
                hint="a stage that was reused or restored did not run here",
            )
        )
    click.echo(found[attempt - 1].read_text(encoding="utf-8", errors="replace"), nl=False)
    return 0
