"""`mlbuild inspect`: what is inside a Core ML model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild.cli import modeljob, options
from mlbuild.report.model import describe_model


@click.command("inspect", epilog="Example: mlbuild inspect build/dogs/convert/Dogs.mlpackage")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--layers", type=click.IntRange(0), default=10, show_default=True, help="Rows shown.")
@options.JSON
def command(model: Path, layers: int, as_json: bool) -> int:
    """Show inputs, outputs, operators and weights of MODEL, the largest weights first."""
    answer = modeljob.answer("inspect", model, {})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        click.echo(describe_model(answer, layers))
    return 0
