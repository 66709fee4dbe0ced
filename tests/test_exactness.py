"""What runs is exactly what has to: random changes to real projects, held to a small model."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Done
from tests.exactness.project import Tool
from tests.exactness.world import OPERATIONS, How, World

Run = Callable[..., Done]
Write = Callable[[str], Path]

small = st.integers(0, 9)
rarely = st.sampled_from([False] * 9 + [True])
maybe = st.one_of(st.none(), st.none(), st.none(), small)
operations = st.tuples(
    st.sampled_from([*OPERATIONS, "add_stage", "change", "add_edge", "write_file"]),
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
    with counted(least) as (totals, numbers):

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
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
    least = {"steps": 3000, "restored": 100, "failed": 5, "kept": 5, "no-ops": 5, "twins": 1}
    hold(folder, 75, 40, least)
