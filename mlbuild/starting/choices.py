"""What a new project shall be: what was said, what was seen, and what follows from both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.errors import Problem, UsageError, did_you_mean
from mlbuild.starting.found import Found
from mlbuild.starting.models import Model
from mlbuild.starting.tasks import TARGET, TARGETS, TASKS, UNCOMPRESSED, task_of

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
SERVICES = ("github", "gitlab", "none")


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that the files of a project are made of."""

    name: str
    task: str  # of TASKS
    framework: str
    target: str = TARGET
    found: Found | None = None
    model: Model | None = None
    shapes: dict[str, list[int]] = field(default_factory=dict)
    ci: str = "none"

    @property
    def compressed(self) -> bool:
        """Whether the target takes compressed weights."""
        return self.target not in UNCOMPRESSED


def checked_name(name: str) -> str:
    """A pipeline's name.

    Raises:
        UsageError: it cannot be one.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            Problem(
                f"'{name}' cannot be the name of a pipeline",
                allowed=("a letter, then letters, digits, '-' and '_'",),
                hint="name it with --name",
            )
        )
    return name


def name_for(folder: Path) -> str:
    """The folder's name as a pipeline can bear it."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-")
    return name if NAME.fullmatch(name) else "model"


def chosen_task(task: str | None, found: Found | None, model: Model | None) -> str:
    """The task that was named, or the one that data or a model mean.

    Raises:
        UsageError: there is no such task, or the data are not for it.
    """
    if task is None:
        if model:
            return "convert-only"
        task = task_of(found.form) if found else "imagenet"
    if task is None or task not in TASKS:
        raise _unknown("task", str(task), tuple(TASKS))
    if task == "convert-only" and model is None:
        message = "a model to convert is missing"
        raise UsageError(Problem(message, hint="name it with --model FILE, or choose another task"))
    if task != "convert-only" and model is not None:
        message = f"task {task} trains a model: --model is for convert-only"
        raise UsageError(Problem(message, hint="leave out --task or --model"))
    if found and found.form not in TASKS[task].forms:
        raise UsageError(
            Problem(
                f"the data are not for task {task}",
                got=f"{found.path}: {found.form.value} ({found.why})",
                allowed=tuple(form.value for form in TASKS[task].forms),
                hint=f"these mean task {meant}" if (meant := task_of(found.form)) else None,
            )
        )
    return task


def chosen_framework(framework: str | None, task: str, model: Model | None) -> str:
    """The framework that was named, or the task's first.

    Raises:
        UsageError: the task has none of that name, or the model is of another one.
    """
    if model:
        if framework not in (None, model.format.framework):
            got = f"{model.path}: {model.format.name}"
            raise UsageError(Problem(f"the model is not of framework {framework}", got=got))
        return model.format.framework
    allowed = TASKS[task].frameworks
    if framework is not None and framework not in allowed:
        raise _unknown(f"framework of task {task}", framework, allowed)
    return framework or allowed[0]


def checked_target(target: str) -> str:
    """The oldest system.

    Raises:
        UsageError: there is no such target.
    """
    if target not in TARGETS:
        raise _unknown("target", target, TARGETS)
    return target


def _unknown(what: str, got: str, allowed: tuple[str, ...]) -> UsageError:
    hint = did_you_mean(got, allowed)
    return UsageError(Problem(f"there is no {what} '{got}'", allowed=allowed, hint=hint))
