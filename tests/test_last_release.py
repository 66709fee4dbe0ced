"""What a build has to do with the last release: its artifacts as inputs, gates against it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]

SPEC = """
from mlbuild.api import Field, In, Kind, Metric, Out, Params

class NoParams(Params):
    pass

KIND = Kind(
    summary="Counts letters.", toolchain="plain", params=NoParams,
    inputs={
        "model": In("Any", "What to count in."),
        "samples": In("Any", "The letters."),
        "start": In("Any", "Where to start from.", optional=True),
    },
    outputs={"report": Out("File", "report.txt", "Letters found.")},
    metrics={"found": Metric("How many.")},
)
"""
CODE = """
def run(job):
    model, samples = (job.inputs[n].read_text() for n in ("model", "samples"))
    job.metric("found", sum(model.count(letter) for letter in samples.strip()))
    start = job.inputs["start"].read_text() if "start" in job.inputs else "-"
    job.outputs["report"].write_text(start)
"""
PIPELINE = f"""\
version: 1
name: Words
toolchains:
  plain: {{python: "{sys.version_info.major}.{sys.version_info.minor}", requirements: ./plain.txt}}
stages:
  make:
    run: cat ${{{{ inputs.source }}}} > ${{{{ outputs.model }}}}
    inputs: {{source: ./source.txt}}
    outputs: {{model: build/model.txt}}
  judge:
    uses: my/count
    inputs: {{model: make.model, samples: ./samples.txt, start: release.model}}
    gates: {{found: {{max_drop: {{value: 1, against: release}}}}}}
  since:
    run: diff ${{{{ inputs.old }}}} ${{{{ inputs.new }}}} > ${{{{ outputs.page }}}} || true
    inputs: {{old: release.model, new: make.model}}
    outputs: {{page: build/since.txt}}
  count:
    run: cat ${{{{ inputs.models }}}} > ${{{{ outputs.o }}}}
    inputs: {{models: {{all: [release.model, make.model]}}}}
    outputs: {{o: build/count.txt}}
  notes:
    run: cat ${{{{ inputs.page }}}} > ${{{{ outputs.o }}}}
    inputs: {{page: since.page}}
    outputs: {{o: build/notes.txt}}
release:
  artifacts: {{model: make.model, report: judge.report}}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests here: the toolchain is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def build(project: Path, cache: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A project that was built once, before any release, and committed."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", str(cache))
    folder = project / "stages/my/count"
    folder.mkdir(parents=True)
    (folder / "spec.py").write_text(SPEC)
    (folder / "run.py").write_text(CODE)
    (project / "plain.txt").write_text("# nothing but Python itself\n")
    (project / "source.txt").write_text("aaaa")
    (project / "samples.txt").write_text("a\n")
    (project / "pipelines/words.yaml").write_text(PIPELINE)

    def run(*more: str) -> Done:
        return mlbuild("run", "pipelines/words.yaml", "--json", *more)

    done = run()
    assert done.code == 0, done.err + done.out
    commit(project)
    return run


def git(project: Path, *words: str) -> str:
    name = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *name, *words], cwd=project, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(project: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "x")


def release(project: Path, version: str) -> None:
    git(project, "tag", "-a", f"words@v{version}", "-m", version)


def gate_texts(done: Done) -> list[str]:
    rows = [e for e in done.events if e["event"] == "stage" and e["stage"] == "judge"]
    return [gate["text"] for gate in rows[0]["gates"]]


def test_a_stage_that_needs_the_last_release_is_excluded_while_there_is_none(build: Run) -> None:
    done = build("--force", "make")
    assert done.outcomes == {
        "make": "ran",
        "judge-release": "excluded",
        "judge": "reused",
        "since": "excluded",
        "count": "reused",
        "notes": "excluded",
    }


def test_a_gate_against_the_release_passes_with_a_note_while_there_is_none(build: Run) -> None:
    told = gate_texts(build("--force", "judge"))
    assert told == ["found 4: there is no release yet to compare with, so it passes"]


def test_an_optional_input_from_a_release_that_is_not_there_is_left_out(
    project: Path, build: Run
) -> None:
    assert (project / "build/Words/judge/report.txt").read_text() == "-"


def test_a_list_goes_without_what_was_not_released_yet(project: Path, build: Run) -> None:
    assert (project / "build/count.txt").read_text() == "aaaa"
    release(project, "1.0.0")
    (project / "source.txt").write_text("bbbbb")
    build("--keep-going")
    assert (project / "build/count.txt").read_text() == "aaaabbbbb"


def test_dvc_yaml_names_the_artifacts_as_gto_wants_them(project: Path, build: Run) -> None:
    text = (project / "dvc.yaml").read_text()
    assert text.endswith(
        "artifacts:\n"
        "  words:\n"
        "    path: build/model.txt\n"
        "    type: any\n"
        "    meta:\n"
        "      mlbuild:\n"
        "        artifact: model\n"
        "        pipeline: pipelines/words.yaml\n"
        "  words-report:\n"
        "    path: build/Words/judge/report.txt\n"
        "    type: file\n"
        "    meta:\n"
        "      mlbuild:\n"
        "        artifact: report\n"
        "        pipeline: pipelines/words.yaml\n"
    )


def test_building_what_was_released_compares_with_the_release_before(
    project: Path, build: Run
) -> None:
    release(project, "1.0.0")
    done = build()
    assert (done.build["ran"], done.outcomes["since"]) == (0, "excluded")
    assert git(project, "status", "--porcelain", "--untracked-files=no") == ""


def test_what_a_build_writes_is_no_change_of_what_was_released(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    (project / "pipelines/words-lock.json").unlink()
    (project / "build/Words/judge/metrics.json").write_text("{}")
    build()
    (project / "dvc.lock").write_text((project / "dvc.lock").read_text() + "\n")
    assert build().outcomes["since"] == "excluded"


def test_a_change_after_a_release_is_compared_with_it_on_todays_samples(
    project: Path, build: Run
) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aaabb")
    (project / "samples.txt").write_text("ab\n")
    done = build()
    assert done.code == 0, done.out
    assert done.outcomes["judge-release"] == "ran"
    assert gate_texts(done) == ["found 5 holds (the last release: 4)"]
    judge = next(e for e in done.events if e.get("stage") == "judge")
    assert judge["gates"][0]["released"] == 4
    assert judge["sizes"]["report"] == 4
    assert (project / "build/Words/judge/report.txt").read_text() == "aaaa"
    assert "< aaaa" in (project / "build/since.txt").read_text()


def test_a_loss_beyond_the_limit_blocks(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aa")
    done = build()
    assert (done.code, done.outcomes["judge"]) == (5, "gate_failed")
    told = "found 2 is 2 below the last release's 4, more than 1"
    assert gate_texts(done) == [told]


def test_the_release_that_was_compared_with_is_frozen_in_the_lock_file(
    project: Path, build: Run
) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aaaab")
    assert build().code == 0
    pins = json.loads((project / "pipelines/words-lock.json").read_text())
    row = pins["datasets"]["release"]
    commit_id = git(project, "rev-parse", "HEAD").strip()
    assert row == {
        "version": 1,
        "name": "words",
        "release": "1.0.0",
        "tag": "words@v1.0.0",
        "commit": commit_id,
    }


def test_locked_keeps_to_the_release_that_is_frozen(project: Path, build: Run) -> None:
    (project / "notes.md").write_text("x")
    release(project, "1.0.0")
    commit(project)  # a commit that changes nothing of the pipeline
    done = build("--locked")
    assert (done.code, done.outcomes["since"]) == (0, "excluded")
    assert build().outcomes["since"] == "ran"


def test_a_newer_release_takes_the_place_of_the_frozen_one(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aaaab")
    build()
    commit(project)
    release(project, "1.1.0")
    (project / "source.txt").write_text("aaaabb")
    build()
    assert "< aaaab\n" in (project / "build/since.txt").read_text()


def test_a_second_run_after_a_release_runs_nothing(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aaaab")
    build()
    assert build().build["ran"] == 0


def test_a_new_tag_is_noticed_where_nothing_else_changed(project: Path, build: Run) -> None:
    (project / "source.txt").write_text("aaaab")
    assert build().outcomes["since"] == "excluded"
    release(project, "1.0.0")
    done = build()
    assert done.outcomes["since"] == "ran", done.out


def test_a_released_artifact_that_nobody_has_is_told(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    cache = project / ".dvc/cache/files/md5"
    for file in [f for f in cache.rglob("*") if f.is_file() and f.read_bytes() == b"aaaa"]:
        file.unlink()
    (project / "source.txt").write_text("aaaab")
    done = build()
    assert done.code == 4
    assert "artifact 'model' of words@v1.0.0 cannot be had" in done.out + done.err
    assert "mlbuild push" in done.out + done.err


def test_an_artifact_that_the_release_had_not_is_told(project: Path, build: Run) -> None:
    release(project, "1.0.0")
    text = PIPELINE.replace("report: judge.report", "page: notes.o").replace(
        "old: release.model", "old: release.page"
    )
    (project / "pipelines/words.yaml").write_text(text)
    done = build()
    assert done.code in (2, 4)
    assert "words@v1.0.0 has no artifact 'page'" in done.out + done.err


def test_status_and_explain_say_why_a_stage_is_left_out(
    project: Path, build: Run, mlbuild: Run
) -> None:
    told = mlbuild("explain", "pipelines/words.yaml", "since").out
    assert told == "since: excluded\n  there is no release yet\n"
    assert "excluded: there is no release yet" in mlbuild("status", "pipelines/words.yaml").out


def test_the_graph_names_what_comes_from_the_release(build: Run, mlbuild: Run) -> None:
    assert "release.model" in mlbuild("graph", "pipelines/words.yaml").out.split("datasets.")[0]


def test_a_shallow_clone_builds_with_the_frozen_release_and_says_so(
    project: Path, build: Run, mlbuild: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(project, "1.0.0")
    (project / "notes.md").write_text("x")
    commit(project)
    clone = tmp_path / "clone"
    git(project, "clone", "-q", "--depth", "1", project.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    told = mlbuild("run", "pipelines/words.yaml")
    assert "compared with the release of the lock file" in told.out
    assert "shallow clone" in told.out
    done = build("--force", "make")
    assert (done.code, done.outcomes["since"]) == (0, "excluded")


def test_where_git_cannot_tell_the_build_goes_on_and_says_so(
    project: Path, build: Run, mlbuild: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(project, "1.0.0")
    (project / "source.txt").write_text("aaaab")
    broken = tmp_path / "bin/git"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'fatal: detected dubious ownership' >&2\nexit 128\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    told = mlbuild("run", "pipelines/words.yaml")
    assert "compared with the release of the lock file" in told.out
    done = build("--force", "make")
    assert (done.code, done.outcomes["since"]) == (0, "excluded")
