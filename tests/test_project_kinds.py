"""Stage kinds of a user's own project, in a toolchain of the pipeline's own, through the CLI."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]

SPEC = """
from mlbuild.api import Field, In, Kind, Metric, Out, Params

class CountParams(Params):
    times: int = Field(1, ge=1, description="Factor.")

KIND = Kind(
    summary="Counts files.", toolchain="plain", params=CountParams,
    inputs={"files": In("Folder", "What to count.")},
    outputs={"count": Out("File", "count.txt", "The number.")},
    metrics={"files": Metric("How many.")},
)
"""
CODE = """
from ..._shared.counting.count import count

def run(job):
    number = count(job.inputs["files"]) * job.params.times
    job.metric("files", number)
    job.outputs["count"].write_text(str(number))
"""
SHARED = """
def count(folder):
    return sum(1 for path in folder.rglob("*") if path.is_file())
"""
PIPELINE = f"""\
version: 1
name: p
toolchains:
  plain: {{python: "{sys.version_info.major}.{sys.version_info.minor}", requirements: ./plain.txt}}
datasets: {{photos: {{path: photos}}}}
stages:
  train: {{uses: my/count, inputs: {{files: datasets.photos}}}}
  after:
    run: cat ${{{{ inputs.c }}}} > ${{{{ outputs.o }}}}
    inputs: {{c: train.count}}
    outputs: {{o: o.txt}}
  apart: {{run: "echo apart > ${{{{ outputs.o }}}}", outputs: {{o: apart.txt}}}}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests here: the toolchain is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def kinds(project: Path, cache: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The project with its kind, built once; returns how to build it again."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", str(cache))
    write(project / "stages/my/count/spec.py", SPEC)
    write(project / "stages/my/count/run.py", CODE)
    write(project / "stages/_shared/counting/count.py", SHARED)
    write(project / "stages/_shared/other/other.py", "x = 1\n")
    write(project / "photos/a.jpg", "a")
    write(project / "photos/deep/b.jpg", "b")
    write(project / "plain.txt", "# nothing but Python itself\n")
    write(project / "pipelines/p.yaml", PIPELINE)
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.err + done.out
    assert (project / "o.txt").read_text() == "2"
    return lambda *more: mlbuild("run", "pipelines/p.yaml", "--json", *more)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_nothing_runs_the_second_time(kinds: Run) -> None:
    assert kinds().build["reused"] == 3


def test_one_more_photograph_runs_its_reader_and_what_follows(kinds: Run, project: Path) -> None:
    write(project / "photos/c.jpg", "c")
    done = kinds()
    assert done.outcomes == {"train": "ran", "after": "ran", "apart": "reused"}
    assert done.reasons["train"] == ["input_changed"]


def test_editing_a_kind_s_code_runs_its_stages(kinds: Run, project: Path) -> None:
    write(project / "stages/my/count/run.py", CODE + "\n# edited\n")
    done = kinds()
    assert done.outcomes == {"train": "ran", "after": "reused", "apart": "reused"}
    assert done.reasons["train"] == ["code_changed"]


def test_editing_shared_code_runs_the_stages_whose_kind_imports_it(
    kinds: Run, project: Path
) -> None:
    write(project / "stages/_shared/counting/count.py", SHARED + "\n# edited\n")
    assert kinds().reasons["train"] == ["code_changed"]


def test_editing_shared_code_that_no_kind_imports_runs_nothing(kinds: Run, project: Path) -> None:
    write(project / "stages/_shared/other/other.py", "x = 2\n")
    assert kinds().build["reused"] == 3


def test_a_changed_parameter_is_named(kinds: Run) -> None:
    done = kinds("--set", "stages.train.with.times=3")
    assert done.reasons["train"] == ["params_changed"]


def test_the_dataset_is_versioned_by_dvc(kinds: Run, project: Path) -> None:
    assert (project / "photos.dvc").exists()
    assert "/photos" in (project / ".gitignore").read_text()


def test_metrics_lie_beside_the_output(kinds: Run, project: Path) -> None:
    assert '"files": 2' in (project / "build/p/train/metrics.json").read_text()


def test_an_exception_shows_the_stage_s_own_traceback(
    kinds: Run, project: Path, mlbuild: Run
) -> None:
    write(project / "stages/my/count/run.py", CODE + '\n    raise ValueError("no way")\n')
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 1
    assert "ValueError: no way" in done.out
    assert "stages/my/count/run.py" in done.out
    assert "mlbuild/execute" not in done.out


def test_an_undeclared_file_is_told_with_the_line_to_add(
    kinds: Run, project: Path, mlbuild: Run
) -> None:
    write(project / "notes.txt", "n")
    peek = CODE.replace("    number =", '    open("notes.txt").read()\n    number =')
    write(project / "stages/my/count/run.py", peek)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 0
    assert "train read notes.txt, which it does not declare" in done.out
    assert "add to its inputs: notes: ./notes.txt" in done.out


def test_with_strict_an_undeclared_file_is_an_error(
    kinds: Run, project: Path, mlbuild: Run
) -> None:
    write(project / "notes.txt", "n")
    peek = CODE.replace("    number =", '    open("notes.txt").read()\n    number =')
    write(project / "stages/my/count/run.py", peek)
    write(project / "pipelines/p.yaml", PIPELINE.replace("name: p", "name: p\nstrict: true"))
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 1
    assert "notes.txt" in done.out


def test_a_project_that_was_not_accepted_is_not_imported(
    kinds: Run, mlbuild: Run, project: Path
) -> None:
    refused = mlbuild("status", "pipelines/p.yaml", env={"CI": "false"})
    assert refused.code == 2
    assert "mlbuild trust" in refused.err
    assert mlbuild("trust", env={"CI": "false"}).code == 0
    assert mlbuild("status", "pipelines/p.yaml", env={"CI": "false"}).code == 0


def test_the_path_of_the_project_is_not_in_the_key(
    kinds: Run, project: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = project.with_name("moved")
    os.rename(project, moved)
    monkeypatch.chdir(moved)
    assert mlbuild("run", "pipelines/p.yaml", "--json").build["reused"] == 3


def test_data_that_was_not_pulled_is_not_needed_where_nothing_runs(
    kinds: Run, project: Path
) -> None:
    for file in sorted((project / "photos").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (project / "photos").rmdir()
    assert kinds().build["reused"] == 3
    assert not (project / "photos").exists()
