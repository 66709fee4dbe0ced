"""Verbs that need torch: an unrecorded job for the same worker that runs stages."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlbuild.attempts import Finished, Task
from mlbuild.cli.progress import told_on
from mlbuild.errors import Problem, StageError, UsageError
from mlbuild.execute.environment import stage_environment
from mlbuild.execute.local import LocalExecutor
from mlbuild.pipeline.root import project_root
from mlbuild.records import Json, Stage
from mlbuild.report.terminal import plain_console
from mlbuild.toolchains import Toolchains

TOOLCHAIN = "torch"  # it has the reference runtime's libraries
_JOBS = Path(__file__).parent / "jobs"
_COREML = Path(__file__).parents[1] / "coreml"


def answer(verb: str, model: Path, params: Mapping[str, Json], toolchain: str = TOOLCHAIN) -> Json:
    """Runs `jobs/model/<verb>/run.py` on a model and returns the JSON that it wrote.

    Raises:
        UsageError: there is no such model.
        StageError: the job failed; its own message is told.
    """
    if not model.exists():
        raise UsageError(Problem(f"there is no model at {model}", hint="name an .mlpackage"))
    toolchains = Toolchains(project_root(Path.cwd() / "pipeline.yaml"), {})
    with told_on(plain_console(stderr=True), f"toolchain {toolchain}") as progress:
        python = toolchains.ensure(toolchain, progress)
    with tempfile.TemporaryDirectory(prefix="mlbuild-") as folder:
        scratch = Path(folder)
        variables = toolchains.lock(toolchain).environ
        failure = _run(_task(verb, model, params, python, variables, scratch))
        if failure is not None:
            raise failure
        return json.loads((scratch / "answer.json").read_text(encoding="utf-8"))


def _task(
    verb: str,
    model: Path,
    params: Mapping[str, Json],
    python: Path,
    variables: Iterable[tuple[str, str]],
    scratch: Path,
) -> Task:
    job = {
        "version": 1,
        "stage": verb,
        "root": str(Path.cwd()),
        "stages_root": str(_JOBS),
        "folder": f"model/{verb}",
        "run": "run.py",
        "coreml": str(_COREML),
        "params": dict(params),
        "inputs": {"model": str(model.resolve())},
        "axes": {},
        "outputs": {"answer": str(scratch / "answer.json")},
        "metrics": str(scratch / "metrics.json"),
        "plots": None,
        "scratch": str(scratch),
        "threads": 1,
        "trust": [],
    }
    stage = Stage(verb, verb)
    seen = stage_environment(stage, os.environ, python, worker=True, environ=variables)
    return Task(
        verb, Path.cwd(), scratch / "log", seen.variables, job=job, python=python, fresh=True
    )


def _run(task: Task) -> StageError | None:
    executor = LocalExecutor(1)
    try:
        executor.submit(task)
        while True:
            for event in executor.wait(1.0):
                if isinstance(event, Finished):
                    return _error(event)
    finally:
        executor.close()


def _error(event: Finished) -> StageError | None:
    failure = event.failure
    if failure is None:
        return None
    text = failure.message
    if failure.traceback:
        text = f"{failure.traceback.rstrip()}\n{text}"
    return StageError(Problem(text, hint=failure.hint))
