"""`mlbuild schema`: the JSON Schema of pipeline files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild import trust
from mlbuild.pipeline.root import project_root
from mlbuild.pipeline.schema import json_schema
from mlbuild.registry import Registry


@click.command("schema", epilog="Example: mlbuild schema > .vscode/mlbuild.schema.json")
def command() -> int:
    """Print the JSON Schema of pipeline files, for editors. Knows the kinds of this project too."""
    root = project_root(Path.cwd() / "pipeline.yaml")
    kinds = Registry.load(root, trusted=trust.is_trusted(root))
    click.echo(json.dumps(json_schema(kinds), indent=2, ensure_ascii=False))
    return 0
