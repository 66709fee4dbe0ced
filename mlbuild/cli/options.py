"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mlbuild.build import Pipeline, RunOptions
from mlbuild.errors import Problem, UsageError

F = TypeVar("F", bound=Callable[..., Any])

# Exists-checks are ours: click's message has no remedy.
PIPELINE = click.argument("pipeline", type=click.Path(path_type=Path))
TARGETS = click.argument("targets", nargs=-1)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON lines and nothing else.")


def variations(function: F) -> F:
    """`--set` and `--profile`, which lay values over the file."""
    function = click.option(
        "--set", "sets", multiple=True, metavar="K=V", help="Set a parameter; may be repeated."
    )(function)
    return click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="NAME",
        help="Lay a profile of the file over the rest; later ones win.",
    )(function)


def only_stage(pipeline: Pipeline, asked: str) -> str:
    """The one stage that is meant: a full name, or part of one that only one variant has."""
    found = pipeline.selection(RunOptions(targets=[asked], only=True))
    if len(found) > 1:
        raise UsageError(Problem(f"stage '{asked}' has several variants", allowed=tuple(found)))
    return found[0]
