"""`mlbuild explain` on a real project: what is told of folders, code, commands and results."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done
from tests.exactness.model import Code
from tests.exactness.project import Tool, put, write_kind

Run = Callable[..., Done]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PIPELINE = f"""\
version: 1
name: p
toolchains: {{plain: {{python: "{VERSION}", requirements: ./plain.txt}}}}
stages:
  mix:
    uses: my/mix
    inputs: {{a: ./photos}}
    with: {{add: 1}}
  page:
    run: cat ${{{{ inputs.x }}}} ${{{{ inputs.note }}}} > ${{{{ outputs.o }}}}
    inputs: {{x: mix.o, note: ./note.txt}}
    env: {{SEED: 1}}
    outputs: {{o: page.txt}}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def explain(project: Path, cache: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The project, built once; returns `mlbuild explain`."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", str(cache))
    write_kind(project, Tool(project.parent), Code())
    put(project / "photos", (("a.jpg", "1"), ("b.jpg", "2"), ("c.jpg", "3")))
    put(project / "note.txt", "note")
    put(project / "pipelines/p.yaml", PIPELINE)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 0, done.err + done.out
    return lambda *more: mlbuild("explain", "pipelines/p.yaml", *more)


def test_a_folder_and_a_kind_s_code_are_told_file_by_file(explain: Run, project: Path) -> None:
    (project / "photos/a.jpg").rename(project / "photos/z.jpg")
    put(project / "photos/b.jpg", "20")
    put(project / "photos/deep/d.jpg", "4")
    write_kind(project, Tool(project.parent), Code(factor=2))
    assert explain("mix").out.splitlines() == [
        "mix: run (input changed, code changed)",
        "  code: 3 files: 1 changed",
        "    changed  my/mix/run.py",
        "  inputs.a: photos, 3 -> 4 files: 1 added, 1 changed, 1 renamed",
        "    added    deep/d.jpg",
        "    changed  b.jpg",
        "    renamed  a.jpg -> z.jpg",
    ]


def test_what_waits_tells_for_what_and_what_is_known(explain: Run, project: Path) -> None:
    put(project / "photos/b.jpg", "20")
    put(project / "pipelines/p.yaml", PIPELINE.replace("SEED: 1", "SEED: 2"))
    assert explain("page").out.splitlines() == [
        "page: pending (upstream pending)",
        "  mix must be built first: then more is known",
        "  env.SEED: 1 -> 2",
    ]


def test_a_file_and_where_a_result_comes_from(explain: Run, project: Path, mlbuild: Run) -> None:
    put(project / "note.txt", "longer note")
    told = explain("page").out.splitlines()
    assert told[1] == "  inputs.note: note.txt, aad653ca (4 bytes) -> 59d0c2a7 (11 bytes)"
    mlbuild("run", "pipelines/p.yaml")
    put(project / "note.txt", "note")
    told = explain("page").out.splitlines()
    assert told[0] == "page: restore (input changed)"
    assert told[-1].startswith("  its outputs come from the local cache: last built or restored 2")
    (event,) = explain("page", "--json").events
    assert event["origin"] == "cache"
    assert event["last_use"]["stage"] == "page"
    assert event["changes"][0]["sizes"] == [11, 4]


def test_without_the_state_folder_a_folder_is_told_by_its_digests(
    explain: Run, project: Path
) -> None:
    put(project / "photos/b.jpg", "20")
    for file in (project / ".mlbuild/listings").iterdir():
        file.unlink()
    (line,) = explain("mix").out.splitlines()[1:]
    assert line.startswith("  inputs.a: photos, folder ")
    assert line.endswith(" (4 bytes)")
