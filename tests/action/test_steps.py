"""The action's steps, run in their order in a repository that holds a real model."""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.action.conftest import git
from tests.action.playing import Job
from tests.action.service import Service

FILES = ["badge.json", "report.html", "report.json", "report.md"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose environments find the engine's packages: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder / "env", with_pip=True)
    shim = folder / "python"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    shim.write_text(
        "#!/usr/bin/env bash\n"
        'if [ "$1 $2" = "-m venv" ]; then\n'
        f'  "{folder}/env/bin/python" -m venv "$3"\n'
        f'  echo "{sysconfig.get_path("purelib")}" > "$3/lib/{version}/site-packages/engine.pth"\n'
        "else\n"
        f'  exec "{folder}/env/bin/python" "$@"\n'
        "fi\n"
    )
    shim.chmod(0o755)
    return shim


@pytest.fixture
def models(made: Path, tmp_path: Path) -> Path:
    """A repository: main has a right conversion, the checked out branch a wrong one."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    shutil.copytree(made / "Right.mlpackage", root / "Net.mlpackage")
    shutil.copy(made / "right.pt", root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "right")
    git(root, "checkout", "-q", "-b", "change")
    shutil.rmtree(root / "Net.mlpackage")
    shutil.copytree(made / "Wrong.mlpackage", root / "Net.mlpackage")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "wrong")
    return root


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_pull_request_gets_a_table_and_a_push_a_badge(
    models: Path, service: Service, cache: Path, python: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "--bare", "remote")
    git(models, "remote", "add", "origin", str(tmp_path / "remote"))
    job = Job(models, tmp_path / "one", service, cache)
    (job.temp / "python").symlink_to(python)
    event = {"pull_request": {"number": 17, "base": {"sha": git(models, "rev-parse", "main")}}}
    given = {"model": "Net.mlpackage", "source": "right.pt", "trust": "true", "artifact": "report"}
    assert not job.run("pull_request", event, **given), job.log  # it is wrong, so the job fails
    told = job.outputs["action"]
    assert told["ok"] == "false" and float(told["psnr"]) < 20 and int(told["size"]) > 1000, job.log
    assert service.comments[-1]["body"] == job.summary.read_text()
    assert "<!-- mlbuild-report: Net.mlpackage -->" in job.summary.read_text()
    assert "| ❌ gone |" in job.summary.read_text()  # the output's name differs from main's
    assert [Path(p).name[:6] for p in job.cached] == ["torch-"]
    assert job.uploaded == {"report": FILES}


@pytest.mark.toolchain
@pytest.mark.slow
def test_what_is_right_passes_and_gets_its_badge(
    models: Path, service: Service, cache: Path, python: Path, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "--bare", "remote")
    git(models, "remote", "add", "origin", str(tmp_path / "remote"))
    git(models, "checkout", "-q", "main")
    job = Job(models, tmp_path / "one", service, cache)
    (job.temp / "python").symlink_to(python)
    given = {"model": "Net.mlpackage", "source": "right.pt", "trust": "true", "artifact": "report"}
    assert job.run("push", {"before": "0" * 40}, badge="badges", **given), job.log
    told = job.outputs["action"]
    assert told["ok"] == "true" and float(told["psnr"]) > 40, job.log
    assert service.asked == []
    badge_ = json.loads(git(tmp_path / "remote", "show", "badges:badges/Net.json"))
    assert re.fullmatch(r"\d+ dB, 2\.\d kB, verified on (Linux|macOS)", badge_["message"])
    assert job.uploaded == {"report": FILES}


@pytest.mark.toolchain
@pytest.mark.slow
def test_hostile_inputs_are_values_and_nothing_else(
    models: Path, service: Service, cache: Path, python: Path, tmp_path: Path
) -> None:
    job = Job(models, tmp_path / "one", service, cache)
    (job.temp / "python").symlink_to(python)
    hostile = '$(touch pwned)"; touch pwned; `touch pwned` #.mlpackage'
    assert not job.run("push", {}, model=hostile)
    assert "there is no model at" in job.log
    other = Job(models, tmp_path / "two", service, cache)
    (other.temp / "python").symlink_to(python)
    assert not other.run("push", {}, model="Net.mlpackage", mlbuild_version="1; touch pwned")
    assert "::error::mlbuild-version is no version" in other.log
    assert not list(tmp_path.rglob("pwned"))
