"""`mlbuild report`, from the command line."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Done

Run = Callable[..., Done]
Write = Callable[[str], Path]

PIPELINE = """\
params: {psnr: 51.5, steps: 3}
stages:
  train:
    run: 'echo ${{ params.steps }} > ${{ outputs.model }}; ls ${{ inputs.data }}'
    inputs: {data: ./data}
    outputs: {model: out/model.bin}
  check:
    run: |
      cp ${{ inputs.model }} ${{ outputs.copy }}
      echo '{"psnr_db": ${{ params.psnr }}, "loss": {"dog": 0.5}}' > ${{ outputs.metrics }}
    inputs: {model: train.model}
    outputs: {copy: out/copy.bin}
    metrics: out/check.json
    gates: {psnr_db: {min: 40}}
"""
RELEASE = "release: {name: p, artifacts: {model: train.model}}\n"


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "-A", ".")
    git(root, "commit", "-q", "-m", "x")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose build is committed, made once."""
    root = tmp_path_factory.mktemp("template") / "project"
    (root / "pipelines").mkdir(parents=True)
    (root / "pipelines/p.yaml").write_text(f"version: 1\nname: p\n{PIPELINE}")
    (root / "data").mkdir()
    (root / "data/a.txt").write_text("a")
    git(root, "init", "-q", ".")
    command = [sys.executable, "-m", "mlbuild", "run", "pipelines/p.yaml"]
    own = {"PYTHONPATH": str(ROOT), "CI": "true", "MLBUILD_CACHE_DIR": str(root.parent / "cache")}
    subprocess.run(command, cwd=root, check=True, capture_output=True, env={**os.environ, **own})
    commit(root)
    return root


@pytest.fixture
def built(project: Path, template: Path) -> Path:
    """A copy of it: another folder, which changes nothing."""
    shutil.copytree(template, project, dirs_exist_ok=True)
    return project


def rows(done: Done) -> list[list[str]]:
    assert done.code == 0, done.err
    return [re.split(r" {2,}", line.strip()) for line in done.out.splitlines()]


def state(root: Path) -> dict[str, tuple[int, str]]:
    """Every file but git's and those of knowledge that any verb may write down."""
    return {
        p.relative_to(root).as_posix(): (
            p.stat().st_mtime_ns,
            hashlib.sha256(p.read_bytes()).hexdigest(),
        )
        for p in root.rglob("*")
        if p.is_file() and ".git" not in p.parts
    }


def test_it_shows_what_stands_and_writes_nothing(built: Path, mlbuild: Run) -> None:
    before = state(built)
    told = rows(mlbuild("report", "pipelines/p.yaml"))
    assert told[0] == ["mlbuild: p: 2 of 2 stages up to date, 1 gate held"]
    assert ["check", "psnr_db", "51.5", "holds: min 40"] in told
    assert ["out/copy.bin", "check", "2 bytes"] in told
    assert state(built) == before


def test_figures_stand_beside_those_of_a_revision(
    built: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline(PIPELINE.replace("51.5", "48.25").replace("steps: 3", "steps: 12"))
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    told = rows(mlbuild("report", "pipelines/p.yaml", "--against", "HEAD"))
    assert [*["check", "psnr_db", "48.25", "51.5"], "▼ -3.25, worse", "holds: min 40"] in told
    assert ["out/copy.bin", "check", "3 bytes", "2 bytes", "▲ +1 bytes (+50.0%)"] in told
    assert ["command", "echo 3 > ${{ outputs.model }}; ls ${{ inputs.data }}",
            "echo 12 > ${{ outputs.model }}; ls ${{ inputs.data }}", "train"] in told  # fmt: skip


def test_data_that_changed_is_named_as_the_pipeline_names_it(built: Path, mlbuild: Run) -> None:
    (built / "data/b.txt").write_text("b")
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    told = rows(mlbuild("report", "pipelines/p.yaml", "--against", "HEAD"))
    (row,) = [row for row in told if row[0] == "data"]
    assert (row[1], row[-1]) == ("data", "train")


def test_a_stale_stage_is_named_and_only_check_exits_with_4(
    built: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline(PIPELINE.replace("51.5", "30"))
    done = mlbuild("report", "pipelines/p.yaml")
    assert ["check", "stale", "code changed"] in rows(done)
    assert mlbuild("report", "pipelines/p.yaml", "--check").code == 4


def test_a_gate_that_fails_exits_with_5_under_check(
    built: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline(PIPELINE.replace("51.5", "30"))
    assert mlbuild("run", "pipelines/p.yaml").code == 5
    assert mlbuild("report", "pipelines/p.yaml").code == 0
    done = mlbuild("report", "pipelines/p.yaml", "--check")
    assert done.code == 5
    assert "  check: psnr_db 30 is below min 40\n" in done.out


def test_a_clone_without_results_tells_the_committed_figures(
    built: Path, mlbuild: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "-q", str(built), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    told = rows(mlbuild("report", "pipelines/p.yaml"))
    assert ["check", "psnr_db", "51.5 (stale)", "not judged: min 40"] in told


def test_a_profile_of_parameters_is_reported_as_it_would_be_built(
    built: Path, mlbuild: Run
) -> None:
    told = rows(mlbuild("report", "pipelines/p.yaml", "--set", "steps=4"))
    assert ["train", "stale", "code changed"] in told


def test_the_last_release_is_compared_with_by_default(
    built: Path, pipeline: Write, mlbuild: Run
) -> None:
    pipeline(PIPELINE + RELEASE)
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    first = commit(built)
    git(built, "tag", "-a", "-m", "x", "p@v1.2.0")
    pipeline(PIPELINE.replace("51.5", "52.5") + RELEASE)
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    commit(built)
    told = rows(mlbuild("report", "pipelines/p.yaml"))
    assert [f"compared with release 1.2.0 ({first[:7]})"] in told
    assert [*["check", "psnr_db", "52.5", "51.5"], "▲ +1, better", "holds: min 40"] in told


def test_a_project_may_be_a_folder_of_a_larger_repository(
    template: Path, mlbuild: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    mono = tmp_path / "mono"
    shutil.copytree(template, mono / "apps/dogs", ignore=shutil.ignore_patterns(".git"))
    git(tmp_path, "init", "-q", "mono")
    commit(mono)
    monkeypatch.chdir(mono)
    told = rows(mlbuild("report", "apps/dogs/pipelines/p.yaml", "--against", "HEAD"))
    assert [*["check", "psnr_db", "51.5", "51.5"], "=", "holds: min 40"] in told
    assert ["out/copy.bin", "check", "2 bytes", "2 bytes", "="] in told


def test_metrics_that_git_ignores_come_from_the_cache(
    built: Path, pipeline: Write, mlbuild: Run
) -> None:
    git(built, "rm", "-q", "--cached", "out/check.json")
    (built / ".gitignore").write_text("out/\n")
    git(built, "add", ".gitignore")
    git(built, "commit", "-q", "-m", "without metrics")
    pipeline(PIPELINE.replace("51.5", "48.25"))
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    told = rows(mlbuild("report", "pipelines/p.yaml", "--against", "HEAD"))
    assert [*["check", "psnr_db", "48.25", "51.5"], "▼ -3.25, worse", "holds: min 40"] in told


def test_no_release_yet_is_a_note(built: Path, pipeline: Write, mlbuild: Run) -> None:
    pipeline(PIPELINE + RELEASE)
    told = rows(mlbuild("report", "pipelines/p.yaml", "--against", "release"))
    assert ["there is no release yet"] in told


def test_a_shallow_clone_is_a_note_where_nobody_asked_for_a_release(
    built: Path,
    pipeline: Write,
    mlbuild: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline(PIPELINE + RELEASE)
    commit(built)
    git(tmp_path, "clone", "-q", "--depth=1", built.as_uri(), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    done = mlbuild("report", "pipelines/p.yaml")
    assert done.code == 0, done.err
    assert "which releases there are cannot be told" in done.out
    assert mlbuild("report", "pipelines/p.yaml", "--against", "release").code == 4


def test_all_formats_come_from_one_look(built: Path, mlbuild: Run) -> None:
    done = mlbuild(
        *["report", "pipelines/p.yaml", "--format", "markdown", "--output", "r/a.md"],
        *["--also", "html=r/a.html", "--also", "json=r/a.json", "--also", "badge=r/b.json"],
    )
    assert (done.code, done.out, done.err) == (0, "", "")
    folder = built / "r"
    assert (folder / "a.md").read_text().startswith("<!-- mlbuild-report: p -->\n")
    assert (folder / "a.html").read_text().startswith("<!doctype html>\n")
    assert json.loads((folder / "a.json").read_text())["pipeline"] == "p"
    assert json.loads((folder / "b.json").read_text())["schemaVersion"] == 1


def test_json_is_json(built: Path, mlbuild: Run) -> None:
    done = mlbuild("report", "pipelines/p.yaml", "--json")
    assert [s["state"] for s in json.loads(done.out)["stages"]] == ["up to date"] * 2


ERRORS = [
    (
        "p.yaml --samples 3",
        "--samples is for a MODEL",
    ),
    ("M.mlpackage --set a=1", "--set is for a PIPELINE"),
    (
        "p.yaml --against nowhere",
        "--against nowhere: git knows no such revision here\n"
        "  hint: git fetch origin it first; in CI clone with fetch-depth: 0",
    ),
    (
        "p.yaml --against release",
        "--against release: the pipeline has no 'release:' section\n"
        "  hint: add one, or name a git revision",
    ),
    (
        "p.yaml --also pdf=a.pdf",
        "--also wants FORMAT=FILE\n  got: pdf=a.pdf\n  allowed: text, markdown, html, json, badge",
    ),
    (
        "M.mlpackage",
        "there is no model at M.mlpackage\n  hint: name an .mlpackage or .mlmodel",
    ),
    (
        "notes.txt",
        "notes.txt: neither a pipeline file nor a Core ML model\n"
        "  allowed: .yaml, .yml, .mlpackage, .mlmodel",
    ),
]


@pytest.mark.parametrize(("arguments", "told"), ERRORS, ids=[row[0] for row in ERRORS])
def test_what_makes_no_sense_is_refused(
    project: Path, pipeline: Write, mlbuild: Run, arguments: str, told: str
) -> None:
    pipeline(PIPELINE.replace("./data", "./pipelines"))
    commit(project)
    arguments = arguments.replace("p.yaml", "pipelines/p.yaml")
    done = mlbuild("report", *arguments.split())
    assert (done.code, done.err) == (2, f"{told}\n")


def test_a_model_that_dvc_has_not_pulled_is_told_so(project: Path, mlbuild: Run) -> None:
    (project / "M.mlpackage.dvc").write_text("outs: []\n")
    done = mlbuild("report", "M.mlpackage")
    assert done.err == "there is no model at M.mlpackage\n  hint: dvc pull M.mlpackage.dvc\n"


def test_the_toolchains_of_a_pipeline_without_kinds_are_none(pipeline: Write, mlbuild: Run) -> None:
    pipeline(PIPELINE.replace("./data", "./pipelines"))
    done = mlbuild("report", "pipelines/p.yaml", "--toolchains")
    assert (done.code, done.out) == (0, "")


# --- a model, with no pipeline at all -----------------------------------------------------------


@pytest.fixture
def with_model(project: Path, made: Path, real_cache: None) -> Path:
    """`Net.mlpackage` is committed as a right conversion and has become a wrong one since."""
    shutil.copytree(made / "Right.mlpackage", project / "Net.mlpackage")
    shutil.copy(made / "right.pt", project)
    commit(project)
    shutil.rmtree(project / "Net.mlpackage")
    shutil.copytree(made / "Wrong.mlpackage", project / "Net.mlpackage")
    return project


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_model_is_held_against_its_source_and_the_version_before(
    with_model: Path, mlbuild: Run
) -> None:
    done = mlbuild(
        *[
            "report",
            "Net.mlpackage",
            "--against",
            "HEAD",
            "--source",
            "right.pt",
            "--trust",
            "--check",
        ],
        *["--also", "json=r.json", "--also", "badge=b.json"],
    )
    assert done.code == 5, done.err
    told = json.loads((with_model / "r.json").read_text())
    assert told["psnr_db"] < 20  # it is another function
    assert told["psnr_before_db"] is not None and told["psnr_before_db"] < 20
    assert told["before"]["facts"]["operators"] == {"linear": 1, "softmax": 1}
    assert told["comparison"]["guilty"]["operator"]["type"] == "sigmoid"
    assert "guilty: iOS17.sigmoid" in done.out
    badge = json.loads((with_model / "b.json").read_text())
    assert badge["color"] == "red" and badge["message"].endswith("check failed")


@pytest.mark.toolchain
@pytest.mark.slow
def test_two_versions_of_a_classifier_are_asked_the_same(
    project: Path, made: Path, real_cache: None, mlbuild: Run
) -> None:
    model = made / "Mean.mlpackage"
    samples = made / "green picture.png"
    done = mlbuild(
        "report", str(model), "--against", str(model), "--samples", str(samples), "--json"
    )
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["psnr_before_db"] == 200
    assert told["agreement"] == pytest.approx(
        {"value": 1, "n": 1, "low": 0.2065, "high": 1}, abs=1e-4
    )
    assert told["now"]["labels"] == ["red", "green", "blue"]


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_model_that_is_new_says_so(with_model: Path, mlbuild: Run) -> None:
    shutil.copytree(with_model / "Net.mlpackage", with_model / "New.mlpackage")
    done = mlbuild(*["report", "New.mlpackage", "--against", "HEAD", "--samples", "0"])
    assert done.code == 0, done.err
    assert "  there was no New.mlpackage at HEAD: it is new\n" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
def test_the_toolchains_of_a_model_are_folders_that_ci_can_cache(
    with_model: Path, mlbuild: Run
) -> None:
    done = mlbuild("report", "Net.mlpackage", "--source", "a.onnx", "--toolchains")
    assert [re.sub(r"-[0-9a-f]{12}$", "", Path(line).name) for line in done.out.splitlines()] == [
        "onnx",
        "torch",
    ]
