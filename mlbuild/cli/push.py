"""`mlbuild push`: send results to the team."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from mlbuild import exchange
from mlbuild.build import Pipeline
from mlbuild.cli import options
from mlbuild.cli.pipelines import here, pipeline_files
from mlbuild.cli.progress import told_on
from mlbuild.errors import EXIT_DATA, UsageError
from mlbuild.report import words
from mlbuild.report.events import line
from mlbuild.report.terminal import plain_console
from mlbuild.store.pushing import Pushed

_SHOWN = 10


@click.command(
    "push",
    epilog="Example: mlbuild push pipelines/dogs.yaml -j 8",
    short_help="Send results and datasets to the team's remote.",
)
@click.argument("pipelines", nargs=-1, type=click.Path(path_type=Path), metavar="[PIPELINE]...")
@options.variations
@click.option("-r", "--remote", metavar="NAME", help="Another DVC remote than the default one.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Transfers at one time.")
@click.option("--current", "current", is_flag=True, help="Leave past results out.")
@click.option("--all-past", is_flag=True, help="Also past results of pipelines that are gone.")
@click.option("--verify", is_flag=True, help="Read back what is there; replace what is corrupt.")
@options.JSON
def command(
    pipelines: tuple[Path, ...],
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    remote: str | None,
    jobs: int | None,
    current: bool,
    all_past: bool,
    verify: bool,
    as_json: bool,
) -> int:
    """Send what each PIPELINE (default: all of the project) needs to the DVC remote.

    Objects first, then the entries by which `mlbuild run` finds them in any clone: of the results
    that the ledger records now, of its datasets, and of every past result that the cache holds.
    """
    if current and all_past:
        raise UsageError("--current and --all-past contradict each other", hint="give one of them")
    past = exchange.Past.ALL if all_past else exchange.Past.PIPELINE
    past = exchange.Past.NONE if current else past
    console, code = plain_console(), 0
    for pipeline in loaded(pipelines, profiles, sets):
        how = {"remote": remote, "jobs": jobs, "past": past, "verify": verify}
        if as_json:
            done = exchange.push(pipeline, **how)  # type: ignore[arg-type]
            click.echo(line(push_event(pipeline.name, done)))
        else:
            with told_on(console, pipeline.name) as progress:
                done = exchange.push(pipeline, progress, **how)  # type: ignore[arg-type]
            click.echo("\n".join(push_lines(pipeline.name, done)))
        code = EXIT_DATA if done.missing else code
    return code


def loaded(
    files: Iterable[Path], profiles: tuple[str, ...], sets: tuple[str, ...]
) -> list[Pipeline]:
    """The pipelines that are meant: those named, or all of the project."""
    named = list(files) or [file for file in pipeline_files(here()) if file.exists()]
    if not named:
        raise UsageError(
            f"there is no pipeline in {here() / 'pipelines'}", hint="name one: FILE.yaml"
        )
    return [Pipeline.load(file, profiles=profiles, sets=sets) for file in named]


def push_event(pipeline: str, done: Pushed) -> dict[str, Any]:
    """What `push --json` prints of a pipeline."""
    return {
        "event": "push",
        "pipeline": pipeline,
        "remote": done.remote,
        "objects": done.objects,
        "bytes": done.size,
        "entries": done.entries,
        "present": done.present,
        "repaired": done.repaired,
        "missing": done.missing,
    }


def push_lines(pipeline: str, done: Pushed) -> list[str]:
    """The same for people."""
    sent = f"{counted(done.objects, 'object')} ({words.size(done.size)})"
    sent += f" and {counted(done.entries, 'result')}"
    there = "was" if done.present == 1 else "were"
    text = f"{pipeline}: sent {sent} to '{done.remote}'; "
    text += f"{counted(done.present, 'object')} {there} there"
    if done.repaired:
        text += f"; {counted(done.repaired, 'corrupt one')} replaced"
    lines = [text]
    for label in done.missing[:_SHOWN]:
        lines.append(f"  {label}: neither here nor there; `mlbuild run` makes it again")
    if len(done.missing) > _SHOWN:
        lines.append(f"  and {len(done.missing) - _SHOWN} more")
    return lines


def counted(number: int, what: str) -> str:
    """A number of things."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
