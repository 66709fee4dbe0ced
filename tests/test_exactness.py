"""What runs is exactly what has to: random changes to real projects, held to a small model."""

import hashlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlbuild.build import Pipeline, RunOptions
from mlbuild.report.listener import Silent
from tests.exactness.changes import OPERATIONS
from tests.exactness.project import Tool
from tests.exactness.world import How, World

Write = Callable[[str], Path]

# What mlbuild most easily misses, and what makes the rest mean something.
OFTEN = [*["change"] * 6, *["add_stage"] * 3, *["write_unseen", "write_file", "change_folder"] * 2]
OFTEN += ["change_output", "edit_kind", "add_edge"]

small = st.integers(0, 9)
rarely = st.sampled_from([False] * 9 + [True])
maybe = st.one_of(st.none(), st.none(), st.none(), small)
operations = st.tuples(
    st.sampled_from([*OPERATIONS, *OFTEN]),
    st.sampled_from([0, 0, 0, 1]),
    small,
    small,
    small,
)
builds = st.builds(
    How,
    pipeline=st.sampled_from([0, 0, 0, 1]),
    jobs=st.sampled_from([1, 1, 2]),
    keep_going=st.sampled_from([True, True, True, False]),
    only=rarely,
    target=maybe,
    force=st.one_of(st.none(), maybe),
    sets=st.one_of(st.none(), maybe),
    profile=rarely,
    locked=rarely,
    record=st.sampled_from([True] * 9 + [False]),
    remember=st.booleans(),
)
steps = st.one_of(operations, operations, builds)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's cache folder for all tests here: the kind's toolchain is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for projects that are trusted."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", str(cache))
    monkeypatch.setenv("CI", "true")
    return tmp_path


def play(folder: Path, number: int, script: list[tuple[str, int, int, int, int] | How]) -> World:
    """Plays what happens to a project; a build ends it, so that nothing stays unchecked."""
    place = folder / f"world-{number}"
    place.mkdir()
    world = World(place, Tool(place))
    world.add_stage(0, 0, 0, 0)
    for step in [*script, How()]:
        if isinstance(step, How):
            world.build(step)
        else:
            getattr(world, step[0])(*step[1:])
    return world


@contextmanager
def counted(least: dict[str, int]) -> Iterator[tuple[Counter[str], Iterator[int]]]:
    """A property that never met what it is about proves nothing: so much must have happened."""
    totals: Counter[str] = Counter()
    yield totals, count()
    print(dict(totals))
    assert {n: totals[n] for n in least if totals[n] < least[n]} == {}


def hold(folder: Path, examples: int, length: int, least: dict[str, int]) -> None:
    shrink = bool(os.environ.get("MLBUILD_TEST_SHRINK"))  # minutes, for whoever looks for the cause
    with counted(least) as (totals, numbers):

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        )
        @given(script=st.lists(steps, min_size=length, max_size=2 * length))
        def check(script: list[tuple[str, int, int, int, int] | How]) -> None:
            world = play(folder, next(numbers), script)
            totals.update(world.counts + Counter(steps=len(script) + 1))

        check()


def test_what_runs_is_what_has_to(folder: Path) -> None:
    hold(folder, 40, 12, {"steps": 480, "ran": 100, "reused": 100, "restored": 20})


@pytest.mark.slow
def test_what_runs_is_what_has_to_in_long_histories(folder: Path) -> None:
    least = {"steps": 1500, "restored": 50, "failed": 5, "kept": 5, "no-ops": 5, "twins": 1}
    hold(folder, 30, 40, least)


# --- one by one ----------------------------------------------------------------------------------


def outcomes(file: Path, **options: Any) -> dict[str, str]:
    result = Pipeline.load(file).run(RunOptions(**options))
    return {s.stage: str(s.outcome) for s in result.stages}


def failure(file: Path, stage: str) -> str:
    result = Pipeline.load(file).run()
    (found,) = (s.failure for s in result.stages if s.stage == stage)
    return found.message if found else "none"


def test_a_stage_that_rebuilds_to_equal_bytes_stops_the_wave(
    project: Path, pipeline: Write
) -> None:
    (project / "src.txt").write_text("one\ntwo\n")
    file = pipeline(
        "stages:\n"
        "  head: {run: 'head -1 ${{ inputs.s }} > ${{ outputs.o }}', inputs: {s: ./src.txt},"
        " outputs: {o: out/head.txt}}\n"
        "  next: {run: 'cat ${{ inputs.h }} > ${{ outputs.o }}', inputs: {h: head.o},"
        " outputs: {o: out/next.txt}}\n"
        "  last: {run: 'cat ${{ inputs.n }} > ${{ outputs.o }}', inputs: {n: next.o},"
        " outputs: {o: out/last.txt}}\n"
    )
    assert outcomes(file) == {"head": "ran", "next": "ran", "last": "ran"}
    (project / "src.txt").write_text("one\nTWO, and more\n")
    assert outcomes(file) == {"head": "ran", "next": "reused", "last": "reused"}


def test_of_stages_that_are_alike_one_runs_and_the_others_restore_its_result(
    project: Path, pipeline: Write
) -> None:
    stage = "{run: 'echo 1 > ${{ outputs.o }}', outputs: {o: out/%d.txt}}\n"
    file = pipeline(f"stages:\n  one: {stage % 1}  two: {stage % 2}")
    assert sorted(outcomes(file).values()) == ["ran", "restored"]
    assert (project / "out/1.txt").read_bytes() == (project / "out/2.txt").read_bytes() == b"1\n"


CHANGED = "its input 's' changed while it ran; the result was not kept"
TOUCHED = (
    "its input 's' was touched while it ran, or replaced and put back; the result was not kept"
)
MEDDLERS = [
    ("a file that is written", "./src.txt", "echo more >> src.txt", CHANGED),
    ("a file of the same size", "./src.txt", "echo b > src.txt", CHANGED),
    ("a new file in a folder", "./folder", "echo new > folder/new.txt", CHANGED),
    ("a file in a folder", "./folder", "echo b > folder/sub/a.txt", CHANGED),
    ("a file that a folder loses", "./folder", "rm folder/b.txt", CHANGED),
    ("another stage's output", "first.o", "echo b > out/first.txt", CHANGED),
    (
        "a file that is replaced and put back",
        "./src.txt",
        "mv src.txt aside; echo b > src.txt; cat src.txt > seen; mv aside src.txt",
        TOUCHED,
    ),
    (
        "an output that is written back with its old times",
        "first.o",
        "touch -r out/first.txt t; echo b > out/first.txt; echo a > out/first.txt; "
        "touch -r t out/first.txt",
        TOUCHED,
    ),
]


@pytest.mark.parametrize(
    ("what", "source", "meddle", "told"), MEDDLERS, ids=[m[0] for m in MEDDLERS]
)
def test_an_input_that_changes_while_its_reader_runs_is_noticed_and_nothing_is_recorded(
    project: Path, pipeline: Write, what: str, source: str, meddle: str, told: str
) -> None:
    (project / "src.txt").write_text("a\n")
    (project / "folder/sub").mkdir(parents=True)
    (project / "folder/sub/a.txt").write_text("a\n")
    (project / "folder/b.txt").write_text("a\n")
    file = pipeline(
        "stages:\n"
        "  first: {run: 'echo a > ${{ outputs.o }}', outputs: {o: out/first.txt}}\n"
        "  reader:\n"
        "    run: |\n"
        '      if [ -e meddle ]; then rm meddle; sleep 0.05; eval "$(cat tools)"; fi\n'
        "      find ${{ inputs.s }} -type f -exec cat {} + > ${{ outputs.o }}\n"
        f"    inputs: {{s: {source}}}\n"
        "    outputs: {o: out/read.txt}\n"
    )
    (project / "tools").write_text(meddle)
    (project / "meddle").touch()
    assert failure(file, "reader") == told
    assert not (project / "out/read.txt").exists()
    # Whatever lies there now, or lay there before: no result of the disturbed run is taken for it.
    assert outcomes(file)["reader"] == "ran"


class Warned(Silent):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warned(self, text: str) -> None:
        self.texts.append(text)


REWRITING = """\
stages:
  first: {run: "mkdir ${{ outputs.o }}; echo a > ${{ outputs.o }}/a", outputs: {o: out/first}}
  reader:
    run: |
      cp -r ${{ inputs.s }} copy; rm -r ${{ inputs.s }}/*; cp copy/* ${{ inputs.s }}
      cat copy/* > ${{ outputs.o }}; rm -r copy
    inputs: {s: SOURCE}
    outputs: {o: out/read.txt}
"""


def test_a_folder_that_its_reader_writes_anew_with_equal_bytes_is_told(
    project: Path, pipeline: Write
) -> None:
    (project / "folder").mkdir()
    (project / "folder/a").write_text("a\n")
    heard = Warned()
    assert Pipeline.load(pipeline(REWRITING.replace("SOURCE", "./folder"))).run(None, heard).ok
    (told,) = [text for text in heard.texts if "written while it ran" in text]
    assert told.startswith("reader: files of its input 's' were written while it ran; ")


def test_another_stage_s_folder_may_be_written_anew_with_equal_bytes(
    project: Path, pipeline: Write
) -> None:
    """As coremltools does with the manifest of every package that it opens."""
    heard = Warned()
    file = pipeline(REWRITING.replace("SOURCE", "first.o"))
    assert Pipeline.load(file).run(None, heard).ok
    assert not [text for text in heard.texts if "written while it ran" in text]
    assert outcomes(file) == {"first": "reused", "reader": "reused"}


def test_an_output_written_while_nobody_builds_is_kept_and_the_cache_stays_right(
    project: Path, pipeline: Write
) -> None:
    file = pipeline("stages:\n  a: {run: 'echo a > ${{ outputs.o }}', outputs: {o: a.txt}}\n")
    outcomes(file)
    (project / "a.txt").write_text("by hand\n")
    (planned,) = Pipeline.load(file).plan()
    assert (str(planned.decision), [str(r) for r in planned.reasons]) == (
        "restore",
        ["output_modified"],
    )
    assert outcomes(file) == {"a": "restored"}
    assert (project / "a.txt").read_text() == "a\n"
    (kept,) = (project / ".mlbuild/kept").iterdir()
    assert kept.read_text() == "by hand\n"
    assert spoiled(project) == []


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "reflink,copy"])
def test_an_output_edited_in_place_never_spoils_the_cache(
    project: Path, pipeline: Write, kind: str
) -> None:
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text(f"[cache]\n    type = {kind}\n")
    file = pipeline(
        "stages:\n"
        "  a: {run: 'mkdir ${{ outputs.o }}; echo a > ${{ outputs.o }}/x', outputs: {o: out/a}}\n"
        "  b: {run: 'echo b > ${{ outputs.o }}', outputs: {o: out/b.txt}}\n"
    )
    outcomes(file)
    shutil.rmtree(project / "out")
    assert set(outcomes(file).values()) == {"restored"}
    for path in (project / "out/a/x", project / "out/b.txt"):
        shared = kind != "reflink,copy"
        assert bool(path.stat().st_mode & 0o222) is not shared, "the cache's own: for reading only"
        # An editor that honours that replaces the file.
        path.rename(project / "aside")
        path.write_text("by hand\n")
    assert set(outcomes(file).values()) == {"restored"}
    assert (project / "out/a/x").read_text() == "a\n"
    assert (project / "out/b.txt").read_text() == "b\n"
    assert spoiled(project) == []


def test_a_link_that_was_forced_open_and_written_is_found_and_never_restored(
    project: Path, pipeline: Write
) -> None:
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[cache]\n    type = hardlink\n")
    file = pipeline("stages:\n  a: {run: 'echo a > ${{ outputs.o }}', outputs: {o: a.txt}}\n")
    outcomes(file)
    (project / "a.txt").unlink()
    assert outcomes(file) == {"a": "restored"}
    (project / "a.txt").chmod(0o644)
    (project / "a.txt").write_text("by hand\n")  # and with it the cache's object
    assert outcomes(file) == {"a": "ran"}
    assert (project / "a.txt").read_text() == "a\n"
    assert "by hand\n" in [p.read_text() for p in (project / ".mlbuild/kept").iterdir()]
    assert spoiled(project) == []


def spoiled(project: Path) -> list[Path]:
    """The objects whose bytes are not what their name says."""
    files = (project / ".dvc/cache/files/md5").glob("*/*")
    named = {f: f.parent.name + f.name.removesuffix(".dir") for f in files}
    return [f for f, name in named.items() if hashlib.md5(f.read_bytes()).hexdigest() != name]


def test_a_spec_edited_within_a_second_keeping_its_size_is_read_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as it is where users are
    world = World(folder, Tool(folder))
    world.add_stage(0, 0, 3, 0)
    assert world.pipelines[0][1].kind
    for default in (1, 2, 0, 2):
        world.edit_kind(0, 3, default, 0)
        world.build(How())
    assert world.counts == {"builds": 4, "ran": 3, "reused": 1}
    assert not list(folder.rglob("*.pyc"))


def test_a_process_that_builds_often_leaves_nothing_open(project: Path, pipeline: Write) -> None:
    file = pipeline(
        "stages:\n  a: {run: 'cat s > ${{ outputs.o }}', inputs: {s: ./s}, outputs: {o: a.txt}}\n"
    )
    opened = []
    for n in range(4):
        (project / "s").write_text(str(n))
        assert outcomes(file) == {"a": "ran"}
        opened.append(len(os.listdir("/dev/fd")))
    assert opened[1:] == opened[1:2] * 3
