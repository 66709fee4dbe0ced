"""Who answers what the command line of `mlbuild init` leaves open: a person, or the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import click

from mlbuild.errors import Problem, UsageError
from mlbuild.starting.choices import SERVICES
from mlbuild.starting.found import Found
from mlbuild.starting.looking import look
from mlbuild.starting.models import Model, shape_of
from mlbuild.starting.tables import columns_of
from mlbuild.starting.tasks import TARGET, TARGETS, TASKS, task_of


class Asks(Protocol):
    """Answers questions."""

    def text(self, question: str, default: str) -> str: ...
    def choice(self, question: str, allowed: Sequence[str], default: str) -> str: ...
    def yes(self, question: str) -> bool: ...
    def copy(self, path: Path) -> bool: ...
    def task(self, found: Found | None, model: Model | None) -> str | None: ...
    def framework(self, task: str) -> str | None: ...
    def target(self) -> str: ...
    def ci(self) -> str: ...


class Silent:
    """Takes every default."""

    def text(self, question: str, default: str) -> str:
        """The default."""
        return default

    def choice(self, question: str, allowed: Sequence[str], default: str) -> str:
        """The default."""
        return default

    def yes(self, question: str) -> bool:
        """Yes."""
        return True

    def copy(self, path: Path) -> bool:
        """No: it may be large. What that means is told."""
        click.echo(f"{path} lies beside the project, on this machine alone; --copy brings it in")
        return False

    def task(self, found: Found | None, model: Model | None) -> str | None:
        """What data or model mean."""
        return None

    def framework(self, task: str) -> str | None:
        """The task's first."""
        return None

    def target(self) -> str:
        """The usual one."""
        return TARGET

    def ci(self) -> str:
        """None."""
        return "none"


class Terminal:
    """Asks the person in front."""

    def text(self, question: str, default: str) -> str:
        """A line of text."""
        return str(click.prompt(question, default=default, show_default=bool(default)))

    def choice(self, question: str, allowed: Sequence[str], default: str) -> str:
        """One of several."""
        return str(click.prompt(question, type=click.Choice(allowed), default=default))

    def yes(self, question: str) -> bool:
        """Yes or no."""
        return click.confirm(question, default=True)

    def copy(self, path: Path) -> bool:
        """Whether it is to be copied."""
        question = f"{path} lies beside the project. Copy it in, where DVC versions it?"
        return click.confirm(question, default=True)

    def task(self, found: Found | None, model: Model | None) -> str | None:
        """Of those that the data allow; nothing to ask where a model exists."""
        if model:
            return None
        allowed = [n for n, t in TASKS.items() if found is None or found.form in t.forms]
        allowed = [name for name in allowed if name != "convert-only"]
        if found is None:
            for name in allowed:
                click.echo(f"  {name:<21} {TASKS[name].help}")
        meant = task_of(found.form) if found else None
        if not allowed:
            return None
        listed = found is None  # above, with a word on each
        kind = click.Choice(allowed)
        return str(
            click.prompt("Task", type=kind, default=meant or "imagenet", show_choices=not listed)
        )

    def framework(self, task: str) -> str | None:
        """Where there is a choice."""
        allowed = TASKS[task].frameworks
        if task == "convert-only" or len(allowed) == 1:
            return None
        return self.choice("Framework", allowed, allowed[0])

    def target(self) -> str:
        """The oldest system."""
        return self.choice("Oldest system that runs it", TARGETS, TARGET)

    def ci(self) -> str:
        """The service."""
        return self.choice("Continuous integration", SERVICES, "none")


def with_target(ask: Asks, found: Found | None, task: str, told: str | None) -> Found | None:
    """The table with the column that is to be told, asked for where nobody said it."""
    if found is None or told or task == "convert-only" or not columns_of(found):
        return found
    guess = str(found.facts["target"]).strip('"')
    answer = ask.choice("Column that is to be told", columns_of(found), guess)
    if answer == guess:
        click.echo(f"column '{guess}' is to be told; another one: --target-column")
        return found
    again = look(found.path, answer)
    return replace(found, facts={**found.facts, **again.facts})


def shapes(ask: Asks, model: Model | None, given: dict[str, list[int]]) -> dict[str, list[int]]:
    """Sizes of a model's inputs, asked for where its format does not keep them."""
    if model is None or given or model.format.shaped:
        return given
    answer = ask.text("Its input, NAME=SIZES", "image=1,3,224,224")
    click.echo(f"{model.path} does not say how large its inputs are: taken as {answer}")
    return dict([shape_of(answer)])


def one_of(pipelines: Sequence[Path]) -> Path:
    """The only pipeline.

    Raises:
        UsageError: there are several.
    """
    if len(pipelines) > 1:
        names = tuple(path.stem for path in pipelines)
        raise UsageError(
            Problem("which pipeline shall CI build?", allowed=names, hint="name it with --name")
        )
    return pipelines[0]
