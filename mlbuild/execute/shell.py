"""What `mlbuild shell STAGE` opens: a shell in the stage's world, with its job at hand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.attempts import Task
from mlbuild.execute.forkserver import WORKER
from mlbuild.execute.reads import unwatched


@dataclass(frozen=True, slots=True)
class ShellPlan:
    """A process to start on the user's terminal, and what to tell before."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    hint: str


def shell_plan(task: Task, caller: Mapping[str, str], folder: Path) -> ShellPlan:
    """The shell for a task. Writes its job to ``folder``, where it stays for the user.

    Args:
        task: as an executor would get it.
        caller: the environment of the user, whose shell and terminal it is.
        folder: for ``job.json``; made where it is missing.
    """
    # A login-like start file could put another python first, and nobody would know why.
    program = caller.get("SHELL") or "/bin/sh"
    name = Path(program).name
    arguments = {"bash": ("--norc", "--noprofile"), "zsh": ("--no-rcs",), "fish": ("--no-config",)}
    variables = unwatched(task.env)
    for variable in ("TERM", "USER", "LOGNAME", "COLORTERM", "EDITOR"):
        if variable in caller:
            variables.setdefault(variable, caller[variable])
    variables["SHELL"] = program
    variables["PS1"] = f"({task.stage}) \\w $ " if name == "bash" else f"({task.stage}) $ "
    hint = _prepare(task, variables, folder)
    return ShellPlan((program, *arguments.get(name, ())), variables, task.cwd, hint)


def _prepare(task: Task, variables: dict[str, str], folder: Path) -> str:
    """Lays out what the user needs to run the stage by hand; how to do it."""
    if task.job is None:
        command = (task.argv or ("",))[-1]
        variables["MLBUILD_COMMAND"] = command
        return f"stage {task.stage} runs: {command}"
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.json"
    job.write_text(json.dumps(task.job, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    variables["MLBUILD_JOB"] = str(job)
    variables["MLBUILD_WORKER"] = str(WORKER)
    first = str(task.python.parent) if task.python else ""
    python = "python" if first and variables.get("PATH", "").split(os.pathsep)[0] == first else ""
    return (
        f"stage {task.stage} runs: "
        f'{python or shlex.quote(str(task.python))} "$MLBUILD_WORKER" "$MLBUILD_JOB"'
    )
