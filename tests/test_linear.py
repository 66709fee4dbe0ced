"""No step of planning, running or recording is worse than linear: counted in steps, not seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mlbuild.build import Pipeline
from mlbuild.records import Digest, StageRecord
from mlbuild.store.record import BuildRecord

Tracer = Callable[[FrameType, str, Any], Any]

# Four times the stages may take this many times the steps. Sorting and the like add a little;
# what is done for each stage with each other one takes up to sixteen times.
MOST = 4.8


def steps(work: Callable[[], object]) -> int:
    """How many lines of mlbuild are executed, and functions called."""
    count = 0

    def heard(frame: FrameType, event: str, argument: object) -> Tracer | None:
        nonlocal count
        count += 1
        return heard if "mlbuild" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(heard)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def project(root: Path, stages: int) -> Path:
    """Layers of ten; each stage reads two of the layer before, the first one a file."""
    (root / "pipelines").mkdir(parents=True)
    (root / "in.txt").write_text("in")
    lines = ["version: 1", "name: p", "stages:"]
    for number in range(stages):
        layer, place = divmod(number, 10)
        before = [f"s{(layer - 1) * 10 + p}.o" for p in (place, (place + 1) % 10)]
        a, b = before if layer else ("./in.txt", "./in.txt")
        lines += [f"  s{number}:", f"    run: echo {number} > ${{{{ outputs.o }}}}"]
        lines += [f"    inputs: {{a: {a}, b: {b}}}", f"    outputs: {{o: out/{number}}}"]
    file = root / "pipelines/p.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def both(tmp_path: Path, few: int, work: Callable[[Path], int]) -> float:
    """How many times as many steps four times as many stages take."""
    work(project(tmp_path / "warm", 10))  # imports and caches of patterns
    return work(project(tmp_path / "many", 4 * few)) / work(project(tmp_path / "few", few))


def test_a_first_plan_is_linear(tmp_path: Path) -> None:
    assert both(tmp_path, 200, lambda f: steps(lambda: Pipeline.load(f).plan())) < MOST


@pytest.mark.parametrize("reopened", [False, True])
def test_asking_the_build_record_about_every_stage_is_linear(
    tmp_path: Path, reopened: bool
) -> None:
    def asked(count: int) -> int:
        file = tmp_path / f"{count}.log"
        record = BuildRecord(file)
        for number in range(count):
            outputs = {"o": Digest(f"{number:032x}")}
            paths = {"o": f"out/{number}"}
            record.append(f"s{number}", StageRecord(f"key {number}", {}, outputs), paths)
        record.close()
        if reopened:
            record = BuildRecord(file)

        def every() -> None:
            for number in range(count):
                assert record.with_key(f"no key {number}") is None
                assert record.put_there(f"out/{number}") == f"{number:032x}"

        return steps(every)

    assert asked(400) / asked(100) < MOST


@pytest.mark.slow
def test_a_first_build_is_linear(tmp_path: Path) -> None:
    def built(file: Path) -> int:
        pipeline = Pipeline.load(file)
        return steps(lambda: pipeline.run())

    assert both(tmp_path, 20, built) < MOST


@pytest.mark.slow
def test_changing_everything_again_is_linear(tmp_path: Path) -> None:
    """Every stage has an old result in the ledger, and none of them is in the build record."""

    def rebuilt(file: Path) -> int:
        root = file.parents[1]
        assert Pipeline.load(file).run().ok
        for record in (root / ".mlbuild/build").iterdir():
            record.unlink()
        file.write_text(file.read_text().replace("echo ", "echo again "))
        (root / "in.txt").write_text("another")
        return steps(lambda: Pipeline.load(file).run())

    assert both(tmp_path, 20, rebuilt) < MOST
