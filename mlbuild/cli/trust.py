"""`mlbuild trust`: accept the stage kinds of a project."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild import trust
from mlbuild.pipeline.root import project_root


@click.command("trust", epilog="Example: cd my-project && mlbuild trust")
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default="."
)
def command(folder: Path) -> int:
    """Accept the stage kinds under FOLDER/stages: planning and running will import their code."""
    root = project_root(folder / "pipeline.yaml")
    specs = sorted(root.glob("stages/*/*/spec.py"))
    trust.accept(root)
    kinds = "1 stage kind" if len(specs) == 1 else f"{len(specs)} stage kinds"
    click.echo(f"{root}: trusted, with {kinds} of its own")
    return 0
