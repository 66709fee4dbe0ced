"""`mlbuild toolchains`: list, make, verify or remove toolchains."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from mlbuild.build import Pipeline
from mlbuild.cli import options
from mlbuild.cli.progress import told_on
from mlbuild.errors import EXIT_OK, EXIT_TOOLCHAIN
from mlbuild.pipeline.root import project_root
from mlbuild.report import words
from mlbuild.report.terminal import plain_console
from mlbuild.toolchains import Listed, Toolchains


@click.command("toolchains", epilog="Example: mlbuild toolchains --make torch")
@click.option("--make", multiple=True, metavar="NAME", help="Make it now, not on first use.")
@click.option("--verify", multiple=True, metavar="NAME", help="Import what it promises.")
@click.option("--remove", multiple=True, metavar="NAME", help="Delete it from the cache.")
@click.option(
    "--pipeline", type=click.Path(path_type=Path), help="Know the toolchains of this file too."
)
@options.JSON
def command(
    make: tuple[str, ...],
    verify: tuple[str, ...],
    remove: tuple[str, ...],
    pipeline: Path | None,
    as_json: bool,
) -> int:
    """List the toolchains, with size and last use; or make, verify or remove some."""
    if pipeline:
        toolchains = Pipeline.load(pipeline).toolchains()
    else:
        toolchains = Toolchains(project_root(Path.cwd() / "pipeline.yaml"), {})
    for name in remove:
        freed = toolchains.remove(name)
        click.echo(f"{name}: " + (f"removed, {words.size(freed)}" if freed else "was not there"))
    for name in make:
        with told_on(plain_console(stderr=True), name) as progress:
            click.echo(f"{name}: {toolchains.ensure(name, progress)}")
    broken = 0
    for name in verify:
        problems = toolchains.verify(name)
        broken += bool(problems)
        click.echo(f"{name}: " + ("ok" if not problems else "; ".join(problems)))
    if not (make or verify or remove):
        _list(toolchains, as_json)
    return EXIT_TOOLCHAIN if broken else EXIT_OK


def _list(toolchains: Toolchains, as_json: bool) -> None:
    for entry in toolchains.listing():
        if as_json:
            facts = {
                "name": entry.name,
                "state": entry.state,
                "python": entry.python,
                "size": entry.size,
                "needs": entry.needs,
                "last_use": entry.last_use,
                "path": str(entry.path),
            }
            click.echo(json.dumps(facts))
            continue
        used = ""
        if entry.last_use:
            used = time.strftime("last used %Y-%m-%d", time.localtime(entry.last_use))
        text = f"{entry.name:12} {entry.state:9} Python {entry.python:7} {_size(entry):>14}  {used}"
        click.echo(text.rstrip())


def _size(entry: Listed) -> str:
    if entry.needs:
        return f"about {words.size(entry.needs)}"
    return words.size(entry.size) if entry.size else ""
