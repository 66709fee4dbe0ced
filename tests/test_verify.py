"""`mlbuild verify`: artifacts held against the ledger."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]

STAGES = """
stages:
  make:
    run: >-
      mkdir -p ${{ outputs.o }}/in && cat ${{ inputs.i }} > ${{ outputs.o }}/one &&
      echo two > ${{ outputs.o }}/in/two
    inputs: {i: ./src.txt}
    outputs: {o: build/folder}
  copy:
    run: cat ${{ inputs.i }}/one > ${{ outputs.o }}
    inputs: {i: make.o}
    outputs: {o: build/file.txt}
"""


@pytest.fixture
def built(project: Path, pipeline: Callable[[str], Path], mlbuild: Run) -> Path:
    pipeline(STAGES)
    (project / "src.txt").write_text("one\n")
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    return project


def files_of(root: Path) -> dict[str, tuple[int, bytes]]:
    found = {p: p.stat() for p in root.rglob("*") if p.is_file()}
    return {str(p): (s.st_mtime_ns, p.read_bytes()) for p, s in found.items()}


def test_an_intact_artifact_is_told_with_all_that_it_came_from(built: Path, mlbuild: Run) -> None:
    before = files_of(built)
    done = mlbuild("verify", "build/file.txt", "--json")
    assert (done.code, done.err) == (0, "")
    artifact, end = done.events
    assert end == {
        "event": "verify",
        "ok": True,
        "intact": 1,
        "modified": 0,
        "missing": 0,
        "unknown": 0,
    }
    folder = artifact["deps"]["build/folder"]
    assert artifact["found"] == artifact["recorded"] == "5bbf5a52328e7439ae6e719dfe712200"
    assert (artifact["pipeline"], artifact["stage"]) == ("pipelines/p.yaml", "copy")
    assert artifact["parts"]["inputs"] == {"i": folder}
    told = mlbuild("verify", "build/file.txt").out.splitlines()
    assert told == [
        "build/file.txt: intact",
        "  made by stage copy of pipelines/p.yaml",
        f"  key        {artifact['key']}",
        f"  input      i {folder} (build/folder)",
        "  command    cat ${{ inputs.i }}/one > ${{ outputs.o }}",
    ]
    assert files_of(built) == before, "verify never writes"


def test_every_differing_file_of_a_folder_is_named(built: Path, mlbuild: Run) -> None:
    (built / "build/folder/one").write_text("changed\n")
    (built / "build/folder/in/two").unlink()
    (built / "build/folder/three").write_text("added\n")
    done = mlbuild("verify", "build/folder")
    assert done.code == 4
    lines = done.out.splitlines()
    assert lines[0] == "build/folder: modified"
    assert [line.split() for line in lines[3:6]] == [
        ["changed", "one"],
        ["added", "three"],
        ["missing", "in/two"],
    ]


@pytest.mark.parametrize("gone", [".mlbuild", ".dvc/cache"])
def test_the_ledger_alone_is_enough(built: Path, mlbuild: Run, gone: str) -> None:
    shutil.rmtree(built / gone)
    assert mlbuild("verify", "build/folder", "build/file.txt").code == 0
    (built / "build/folder/one").write_text("changed\n")
    done = mlbuild("verify", "build/folder", "--json")
    assert done.code == 4
    known = gone == ".mlbuild"
    assert done.events[0]["changed"] == (["one"] if known else [])
    note = "which files differ is not known: its list is not in the local cache"
    assert done.events[0]["notes"] == ([] if known else [note])
    assert not (built / gone).exists()


def test_a_change_that_keeps_size_and_times_is_found(built: Path, mlbuild: Run) -> None:
    file = built / "build/file.txt"
    found = file.stat()
    file.write_text("ONE\n")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert mlbuild("verify", "build/file.txt").code == 4


def test_a_pipeline_a_folder_and_a_part_of_one(built: Path, mlbuild: Run) -> None:
    for asked in ("pipelines/p.yaml", "build"):
        assert mlbuild("verify", asked).out.splitlines() == [
            "build/folder: intact, made by stage make of pipelines/p.yaml",
            "build/file.txt: intact, made by stage copy of pipelines/p.yaml",
            "2 artifacts: 2 intact",
        ]
    assert mlbuild("verify", "build/folder/one", "build/folder/in").code == 0
    (built / "build/folder/new").write_text("x")
    done = mlbuild("verify", "build/folder/new", "--json")
    assert done.events[0]["notes"] == ["it is none of the files of build/folder"]
    (built / "build/folder/in/two").unlink()
    assert mlbuild("verify", "build/folder/in/two", "--json").events[0]["status"] == "missing"
    shutil.rmtree(built / ".dvc/cache")
    part = mlbuild("verify", "build/folder/one", "--json").events[0]
    assert part["status"] == "unknown"
    assert part["notes"] == [
        "which files build/folder held is not known here: verify the whole folder"
    ]


def test_a_missing_artifact_is_no_error_of_the_command_line(built: Path, mlbuild: Run) -> None:
    (built / "build/file.txt").unlink()
    done = mlbuild("verify", "build")
    assert done.code == 4
    assert "build/file.txt: missing\n" in done.out
    assert done.out.endswith("2 artifacts: 1 intact, 1 missing\n")


def test_a_copy_is_known_by_its_bytes(built: Path, mlbuild: Run, tmp_path: Path) -> None:
    shutil.copytree(built / "build/folder", tmp_path / "elsewhere")
    done = mlbuild("verify", str(tmp_path / "elsewhere"))
    assert done.code == 0
    assert done.out.splitlines()[:2] == [
        f"{tmp_path}/elsewhere: intact",
        "  the same bytes as build/folder",
    ]


def test_what_no_stage_made_is_unknown(built: Path, mlbuild: Run) -> None:
    (built / "src.txt").write_text("nobody made this\n")
    done = mlbuild("verify", "src.txt")
    assert (done.code, done.out) == (
        4,
        f"src.txt: unknown\n  no stage of {built}/dvc.lock made it\n",
    )


def test_what_is_nowhere_is_an_error(built: Path, mlbuild: Run) -> None:
    done = mlbuild("verify", "build/fil.txt")
    assert done.code == 4
    assert done.err == (
        f"{built}/build/fil.txt does not exist, and {built}/dvc.lock does not know it\n"
        "  hint: name an output, a folder of outputs, or a pipeline file\n"
    )


def test_outside_every_project_it_says_so(project: Path, mlbuild: Run) -> None:
    (project / "x").touch()
    done = mlbuild("verify", "x")
    assert done.code == 2
    assert done.err == (
        "there is no dvc.lock above x\n"
        "  hint: run it in a project that `mlbuild run` has built, or name a path of one\n"
    )


def test_stages_and_data_that_are_dvcs_alone(built: Path, mlbuild: Run) -> None:
    md5 = "5bbf5a52328e7439ae6e719dfe712200"
    lock = built / "dvc.lock"
    lock.write_text(
        f"{lock.read_text()}  mine:\n    cmd: echo\n    outs:\n    - path: mine.txt\n"
        f"      hash: md5\n      md5: {md5}\n      size: 4\n"
    )
    (built / "data.txt.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 4\n  path: data.txt\n")
    for name, maker in (
        ("mine.txt", "made by stage mine of dvc.yaml"),
        ("data.txt", "tracked by data.txt.dvc"),
    ):
        (built / name).write_text("one\n")
        assert mlbuild("verify", name).out == f"{name}: intact\n  {maker}\n"
        (built / name).write_text("two\n")
        assert json.loads(mlbuild("verify", name, "--json").out.splitlines()[0])["status"] == (
            "modified"
        )
