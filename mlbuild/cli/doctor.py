"""`mlbuild doctor`: what is missing on this machine, and what to type."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild.cli import options
from mlbuild.errors import EXIT_OK, EXIT_TOOLCHAIN
from mlbuild.pipeline.root import project_root
from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.doctor import examine


@click.command("doctor", epilog="Example: mlbuild doctor")
@options.JSON
def command(as_json: bool) -> int:
    """Look at this machine; tell what is missing and what to type. Exit 3 if a build would fail."""
    findings = examine(Toolchains(project_root(Path.cwd() / "pipeline.yaml"), {}))
    for found in findings:
        if as_json:
            facts = {"what": found.what, "state": found.state, "text": found.text}
            click.echo(json.dumps({**facts, "remedy": found.remedy}))
            continue
        click.echo(f"{found.state:8} {found.what}: {found.text}")
        if found.remedy:
            click.echo(f"         type: {found.remedy}")
    return EXIT_TOOLCHAIN if any(f.state == "missing" for f in findings) else EXIT_OK
