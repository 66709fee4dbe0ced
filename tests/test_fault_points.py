"""Samples of the fault suite; `benchmarks/faults.py --all` is the whole of it.

The faults are drawn with fixed seeds. After each one a plain run has to be right: the bytes of all
outputs, the cache, nothing half-written left behind, and no stage run again that had been told as
done.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults import conditions, damage, moments, points, remote
from tests.faults.world import Tally, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project that was built, forth and back; each test damages its own."""
    made = make_world(tmp_path, os.environ)
    with made.engines:
        points.ready(made)
        yield made


def check(*tallies: Tally) -> None:
    for tally in tallies:
        assert not tally.losses, tally.losses
        assert not tally.wrong, tally.wrong
    assert any(tally.injected for tally in tallies)


@pytest.mark.parametrize("name", points.SCENES)
def test_a_fault_at_a_point_of_writing_loses_nothing(world: World, name: str) -> None:
    check(*points.campaign(world, [points.SCENES[name]], points.HOWS, 6).values())


@pytest.mark.campaign
@pytest.mark.parametrize("name", points.SCENES)
def test_no_kill_at_any_point_of_writing_loses_anything(world: World, name: str) -> None:
    check(*points.campaign(world, [points.SCENES[name]], ["kill"]).values())


@pytest.mark.parametrize(
    ("seed", "everybody", "jobs", "count"),
    [
        (1, False, 1, 5),
        (2, True, 2, 5),
        pytest.param(3, False, 2, 100, marks=pytest.mark.campaign),
        pytest.param(4, True, 1, 100, marks=pytest.mark.campaign),
    ],
)
def test_a_kill_at_a_random_moment_loses_nothing(
    world: World, seed: int, everybody: bool, jobs: int, count: int
) -> None:
    check(moments.campaign(world, count, seed, everybody, jobs))


@pytest.mark.parametrize("kind", damage.FILES)
def test_a_damaged_file_is_healed_or_named(world: World, kind: str) -> None:
    check(damage.campaign(world, kind, 8))


def test_a_state_folder_damaged_as_a_whole_costs_no_stage(world: World) -> None:
    check(damage.all_at_once(world), damage.journals(world))


def test_a_world_that_is_out_of_joint_costs_no_stage(world: World) -> None:
    check(conditions.clocks(world), conditions.file_times(world), conditions.dead_locks(world))


def test_too_few_descriptors_are_told(world: World) -> None:
    check(conditions.descriptors(world, 4))


def test_a_remote_that_fails_half_way_gives_no_wrong_byte(world: World) -> None:
    check(remote.damaged(world, 6), remote.gone(world))
    check(remote.pushes(world, 5), remote.breaking_off(world, 1))
    check(*points.campaign(world, [remote.PULL], ("kill", *points.ERRORS), 5).values())


# --- no write escapes ----------------------------------------------------------------------------

# What changes a file system without the interpreter auditing it, beside `os.write`, which the
# suite takes the place of itself. Where the engine uses one, a checkpoint stands before it.
UNAUDITED = {
    "copy_file_range": "fills a private copy in the cache's own folder; it is hashed before it is "
    "named, and opening it is a point",
    "ioctl": "shares the bytes of a private copy, as above",
    "pwrite": "tells in a lock file who holds it; nobody believes it",
    "ftruncate": "audited as os.truncate",
    "fchmod": "rights of a private copy",
    "sendfile": "as copy_file_range",
    "flock": "changes no byte",
    "writev": "",
    "pwritev": "",
    "mknod": "",
    "mkfifo": "",
    "chown": "",
    "mmap": "",
}


def test_every_write_of_the_store_is_a_point_where_the_suite_can_strike() -> None:
    """A function that the suite cannot see may only be used with a reason."""
    used = set()
    for path in (ROOT / "mlbuild/store").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in UNAUDITED:
                used.add(node.attr)
    unexplained = {name for name in used if not UNAUDITED[name]}
    assert not unexplained, "say why a kill there does no harm, or put a checkpoint before it"


def test_the_points_are_found_by_watching_and_not_listed(world: World, tmp_path: Path) -> None:
    """Every kind of change that a build makes is among what a recording run found."""
    found = points.points_of(world, points.SCENES["changed"], tmp_path / "trace")
    labels = {label for label, _ in found}
    for part in (
        "checkpoint object",
        "checkpoint run cache",
        "checkpoint build record",
        "checkpoint publish:aside",
        "checkpoint ledger:dvc.lock",
        "os.rename project/dvc.lock",
        "os.rename project/out/join.txt",
        "os.write project/.mlbuild/build/p.log",
        "os.remove project/build/p/.work/join/journal",
    ):
        assert part in labels
    assert len(found) > 200


def test_only_what_dead_processes_left_half_written_is_swept(tmp_path: Path) -> None:
    from mlbuild.store.files import sweep

    names = [".dvc.lock.999999999.tmp", f".dvc.lock.{os.getpid()}.tmp", "a.1.tmp", ".a.tmp"]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path, tmp_path / "a.1.tmp", tmp_path / "nothing")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names[1:])
