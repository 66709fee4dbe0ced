"""`mlbuild pull`: bring results from the team."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlbuild import exchange
from mlbuild.cli import options
from mlbuild.cli.pipelines import is_file
from mlbuild.cli.progress import told_on
from mlbuild.cli.push import counted, loaded
from mlbuild.errors import EXIT_DATA, UsageError
from mlbuild.exchange import Pulled
from mlbuild.report import words
from mlbuild.report.events import line
from mlbuild.report.terminal import plain_console


@click.command(
    "pull",
    epilog="Example: mlbuild pull pipelines/dogs.yaml package",
    short_help="Bring results and datasets from the team's remote.",
)
@click.argument("arguments", nargs=-1, metavar="[PIPELINE]... [TARGET]...")
@options.variations
@click.option("--force", is_flag=True, help="Also put back what was changed by hand; keep it.")
@options.JSON
def command(
    arguments: tuple[str, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> int:
    """Bring what the ledger records of each PIPELINE into the cache and into place; run nothing.

    PIPELINEs end in .yaml (default: all of the project); TARGETs are stages. What was changed by
    hand is left alone and named.
    """
    files = [Path(a) for a in arguments if is_file(a)]
    targets = [a for a in arguments if not is_file(a)]
    if targets and len(files) != 1:
        raise UsageError("targets need the one pipeline that they are of", hint="name its file")
    console, code = plain_console(), 0
    for pipeline in loaded(files, profiles, sets):
        if as_json:
            done = exchange.pull(pipeline, targets, force=force)
            click.echo(line(pull_event(pipeline.name, done)))
        else:
            with told_on(console, pipeline.name) as progress:
                done = exchange.pull(pipeline, targets, progress, force=force)
            click.echo("\n".join(pull_lines(pipeline.name, done)))
        code = EXIT_DATA if done.missing else code
    return code


def pull_event(pipeline: str, done: Pulled) -> dict[str, Any]:
    """What `pull --json` prints of a pipeline."""
    return {
        "event": "pull",
        "pipeline": pipeline,
        "remote": done.remote,
        "objects": done.objects,
        "bytes": done.size,
        "restored": done.restored,
        "datasets": done.datasets,
        "changed": done.changed,
        "kept": done.kept,
        "unbuilt": done.unbuilt,
        "missing": done.missing,
    }


def pull_lines(pipeline: str, done: Pulled) -> list[str]:
    """The same for people."""
    placed = counted(len(done.restored), "stage")
    placed += f" and {counted(len(done.datasets), 'dataset')} put into place"
    lines = [
        f"{pipeline}: fetched {counted(done.objects, 'object')} ({words.size(done.size)}) "
        f"from '{done.remote}'; {placed}"
    ]
    lines += [
        f"  {path}: changed by hand, left alone (--force puts it back)" for path in done.changed
    ]
    lines += [f"  changed by hand, moved to {path}" for path in done.kept]
    lines += [f"  {text}; `mlbuild run` makes it" for text in done.missing]
    if done.unbuilt:
        lines.append(f"  never built: {', '.join(done.unbuilt)}")
    return lines
