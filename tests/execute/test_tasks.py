"""From a stage to a task, and the job that a worker reads."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlbuild.execute import worker
from mlbuild.execute.shell import shell_plan
from mlbuild.execute.tasks import Interpreter, Places, Program, command_task, job_task, shell
from mlbuild.records import Input, PathRef, Resources, Stage

from .conftest import finished

CALLER = {"PATH": os.environ["PATH"], "TOKEN": "t0k", "TERM": "xterm", "SHELL": "/bin/bash"}
HERE = Interpreter(Path(sys.executable), ("json",))


@pytest.fixture
def places(work: Any) -> Places:
    place = work.scratch / "thing"
    return Places(
        root=work.root,
        log=work.logs / "thing.log",
        inputs={"model": work.root / "m", "reports": (work.root / "r1", work.root / "r2")},
        outputs={"model": place / "model.txt"},
        scratch=place / "tmp",
        metrics=place / "metrics.json",
    )


@pytest.fixture
def program(work: Any) -> Program:
    work.kind("def run(job):\n    job.outputs['model'].write_text(job.params.text)\n")
    return Program(work.stages, work.stages / "train" / "thing")


STAGE = Stage(
    "thing[bits=4]",
    "thing",
    kind="train/thing",
    params={"text": "hello"},
    inputs=(
        Input("model", (PathRef("m"),), trust=True),
        Input("reports", (PathRef("r1"), PathRef("r2")), many=True, axes=((("bits", 4),), ())),
    ),
    resources=Resources(cpu=2),
    timeout_minutes=1.5,
    toolchain="torch",
)


def test_a_command_is_run_by_the_strict_shell(places: Places) -> None:
    task = command_task(Stage("a", "a", secrets=("TOKEN",)), places, "true", CALLER, attempt=3)
    assert task.argv == [*shell(), "true"]
    assert task.argv[1:] == ["-euo", "pipefail", "-c", "true"]
    assert (task.cwd, task.log, task.attempt) == (places.root, places.log, 3)
    assert (task.env["TOKEN"], task.masked) == ("t0k", ("t0k",))
    assert task.timeout_seconds is None


def test_a_job_holds_all_that_the_worker_needs(work: Any, places: Places, program: Program) -> None:
    task = job_task(STAGE, places, program, HERE, CALLER)
    assert task.timeout_seconds == 90
    assert (task.python, task.preload, task.fresh) == (HERE.python, ("json",), False)
    assert json.loads(json.dumps(task.job)) == {
        "version": 1,
        "stage": "thing[bits=4]",
        "root": str(work.root),
        "stages_root": str(work.stages),
        "folder": "train/thing",
        "run": "run.py",
        "coreml": None,
        "params": {"text": "hello"},
        "inputs": {
            "model": f"{work.root}/m",
            "reports": [f"{work.root}/r1", f"{work.root}/r2"],
        },
        "axes": {"reports": [{"bits": 4}, {}]},
        "outputs": {"model": f"{work.scratch}/thing/model.txt"},
        "metrics": f"{work.scratch}/thing/metrics.json",
        "plots": None,
        "scratch": f"{work.scratch}/thing/tmp",
        "threads": 2,
        "trust": ["model"],
    }


@pytest.mark.parametrize(
    ("stage", "fresh_kind"),
    [
        (replace(STAGE, env={"A": "1"}), False),
        (replace(STAGE, secrets=("TOKEN",)), False),
        (replace(STAGE, resources=Resources(gpu=1)), False),
        (STAGE, True),
    ],
)
def test_what_cannot_be_forked_gets_a_process_of_its_own(
    places: Places, program: Program, stage: Stage, fresh_kind: bool
) -> None:
    assert job_task(stage, places, replace(program, fresh=fresh_kind), HERE, CALLER).fresh


def test_a_toolchain_of_threads_is_not_forked(places: Places, program: Program) -> None:
    there = Interpreter(HERE.python, ("numpy", "tensorflow"))
    assert job_task(STAGE, places, program, there, CALLER).fresh


def test_a_task_runs(work: Any, run: Any, places: Places, program: Program) -> None:
    assert finished(run(job_task(STAGE, places, program, HERE, CALLER))).failure is None
    assert (work.scratch / "thing" / "model.txt").read_text() == "hello"


class TestShell:
    def test_the_printed_line_runs_the_stage(
        self, work: Any, places: Places, program: Program, tmp_path: Path
    ) -> None:
        plan = shell_plan(job_task(STAGE, places, program, HERE, CALLER), CALLER, tmp_path / "x")
        assert plan.argv == ("/bin/bash", "--norc", "--noprofile")
        assert plan.hint == ('stage thing[bits=4] runs: python "$MLBUILD_WORKER" "$MLBUILD_JOB"')
        assert plan.env["MLBUILD_WORKER"] == worker.__file__
        line = plan.hint.partition(": ")[2]
        argv = [*plan.argv, "-c", line]
        done = subprocess.run(
            argv, env=dict(plan.env), cwd=plan.cwd, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, '{"event": "done"}\n')
        assert (work.scratch / "thing" / "model.txt").read_text() == "hello"

    def test_a_command_is_shown(self, places: Places, tmp_path: Path) -> None:
        task = command_task(Stage("notes", "notes"), places, "make notes", CALLER)
        plan = shell_plan(task, {**CALLER, "SHELL": "/bin/zsh"}, tmp_path)
        assert plan.hint == "stage notes runs: make notes"
        assert plan.env["MLBUILD_COMMAND"] == "make notes"
        assert plan.argv == ("/bin/zsh", "--no-rcs")

    def test_the_terminal_stays_the_users_and_the_rest_the_stages(
        self, places: Places, tmp_path: Path
    ) -> None:
        task = command_task(Stage("notes", "notes"), places, "true", CALLER)
        plan = shell_plan(task, CALLER, tmp_path)
        assert plan.env["TERM"] == "xterm"
        assert "TOKEN" not in plan.env
        assert plan.cwd == places.root


def test_variables_of_the_toolchain_reach_its_processes_and_the_stage_s_own_win(
    places: Places, program: Program
) -> None:
    there = replace(HERE, environ=(("BOTH", "toolchain"), ("LEGACY", "1")))
    task = job_task(STAGE, places, program, there, CALLER)
    assert (task.env["LEGACY"], task.env["BOTH"], task.fresh) == ("1", "toolchain", False)
    stage = replace(STAGE, env={"BOTH": "stage"})
    task = command_task(stage, places, "true", CALLER, there)
    assert (task.env["LEGACY"], task.env["BOTH"]) == ("1", "stage")
    assert "LEGACY" not in command_task(stage, places, "true", CALLER).env
