"""The examples: each is a project of its own, and its README tells what really happens."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.build import Pipeline
from mlbuild.cli.main import main
from mlbuild.toolchains.places import cache_dir
from tests.conftest import ROOT

EXAMPLES = sorted(p for p in (ROOT / "examples").iterdir() if (p / "pipelines").is_dir())
CACHE = cache_dir()  # the user's: toolchains and downloads are shared
QUICK = ("07_own_stage_kind",)
# What a README tells to set: a key of this test only, 32 bytes in base64.
SECRETS = {"MLBUILD_OTA_SIGNING_KEY": base64.b64encode(bytes(range(32))).decode()}
# What a README may differ in from one machine to another.
_TIMES = re.compile(r"\b\d+(?:\.\d+)?(?: ms| s| min(?: \d+ s)?| h(?: \d+ min)?)(?= |$|:)")
_PROGRESS = re.compile(r"^ +\S+: +\d+ % ")
_SIZE = re.compile(r"\d+(?:\.\d+)? (?:B|kB|MB|GB)\b")
_LEDGER = "made a DVC repository"


def normal(text: str) -> list[str]:
    """Lines without times, sizes and progress, in an order that does not depend on the machine."""
    kept = [
        line
        for line in text.splitlines()
        if line.strip() and not _PROGRESS.match(line) and not line.startswith(_LEDGER)
    ]
    bare = (_SIZE.sub("SIZE", _TIMES.sub("TIME", line)) for line in kept)
    return sorted(" ".join(line.split()) for line in bare)


def file_of(example: Path) -> Path:
    (found,) = (p for p in (example / "pipelines").glob("*.yaml") if ".lock." not in p.name)
    return found


def told(example: Path) -> tuple[str, str]:
    """The command of the README's first console block, and what it says."""
    text = (example / "README.md").read_text(encoding="utf-8")
    block = text.split("```console\n")[1].split("```")[0]
    command, _, output = block.partition("\n")
    assert command.startswith("$ ")
    return command.removeprefix("$ "), output


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``copy(example)``: a user's own copy, in which the test then stands."""

    def make(example: Path) -> Path:
        left = shutil.ignore_patterns("build", ".mlbuild", ".dvc", "dvc.*", "*-lock.json")
        own = tmp_path / example.name
        shutil.copytree(example, own, ignore=left)
        monkeypatch.chdir(own)
        monkeypatch.setenv("CI", "true")  # its own kinds are accepted
        monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(CACHE))
        return own

    return make


def run(own: Path, command: str) -> subprocess.CompletedProcess[str]:
    words = command.split()
    assert words[:2] == ["mlbuild", "run"]
    environment = {**os.environ, **SECRETS, "PYTHONPATH": os.fspath(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "mlbuild", *words[1:]],
        cwd=own, env=environment, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip


def test_there_are_at_least_six() -> None:
    assert len(EXAMPLES) >= 6
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", p.name) for p in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_an_example_is_a_project_that_resolves(example: Path, copy, capsys) -> None:
    own = copy(example)
    file = file_of(own)
    resolved = Pipeline.load(file).resolved
    assert resolved.root == own
    bases = {stage.kind.partition("/")[0] for stage in resolved.stages if stage.kind}
    assert "package" in bases
    assert main(["status", f"pipelines/{file.name}"]) == 0
    assert f"{resolved.name}: " in capsys.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.name)
def test_the_readme_shows_the_one_command_and_every_stage(example: Path, copy) -> None:
    command, output = told(example)
    assert command.startswith(f"mlbuild run pipelines/{file_of(example).name}")
    names = {stage.name for stage in Pipeline.load(file_of(copy(example))).resolved.stages}
    lines = output.splitlines()
    shown = {line.split()[0] for line in lines if line.startswith("  ") and "/" not in line}
    assert names <= shown


def _marked(example: Path):
    # The quick one is part of every run, the others are asked for with -m campaign.
    marks = [pytest.mark.toolchain, pytest.mark.slow]
    if example.name not in QUICK:
        marks.append(pytest.mark.campaign)
    return pytest.param(example, marks=marks, id=example.name)


@pytest.mark.parametrize("example", [_marked(e) for e in EXAMPLES])
def test_an_example_does_what_its_readme_tells(example: Path, copy) -> None:
    own = copy(example)
    command, output = told(example)
    done = run(own, command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert normal(done.stdout) == normal(output)
    again = run(own, command)
    assert again.returncode == 0
    assert not re.search(r"\b[1-9]\d* ran\b", again.stdout), again.stdout
