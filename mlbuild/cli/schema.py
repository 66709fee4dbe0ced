"""`mlbuild schema`: the JSON Schema of pipeline files."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild import trust
from mlbuild.pipeline.root import project_root
from mlbuild.pipeline.schema import schema_text
from mlbuild.registry import Registry


@click.command("schema", epilog="Example: mlbuild schema > .vscode/mlbuild.schema.json")
def command() -> int:
    """Print the JSON Schema of pipeline files, for editors. Knows the kinds of this project too."""
    root = project_root(Path.cwd() / "pipeline.yaml")
    kinds = Registry.load(root, trusted=trust.is_trusted(root))
    click.echo(schema_text(kinds), nl=False)
    return 0
