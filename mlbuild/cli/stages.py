"""`mlbuild stages`: list the stage kinds, or describe one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild import trust
from mlbuild.cli import options
from mlbuild.pipeline.root import project_root
from mlbuild.registry import Registry
from mlbuild.report.kinds import describe_kind, kind_json, kinds_markdown, list_kinds


@click.command("stages", epilog="Example: mlbuild stages train/image-classifier")
@click.argument("kind", required=False)
@options.JSON
@click.option("--markdown", is_flag=True, help="Print the reference page of all kinds.")
def command(kind: str | None, as_json: bool, markdown: bool) -> int:
    """List all stage kinds, or describe KIND with its inputs, outputs and parameters."""
    root = project_root(Path.cwd() / "pipeline.yaml")
    kinds = Registry.load(root, trusted=trust.is_trusted(root))
    if markdown:
        click.echo(kinds_markdown(kinds), nl=False)
    elif as_json:
        names = [kind] if kind else kinds.names()
        for name in names:
            click.echo(json.dumps(kind_json(kinds.get(name)), ensure_ascii=False))
    else:
        click.echo(describe_kind(kinds.get(kind)) if kind else list_kinds(kinds))
    return 0
