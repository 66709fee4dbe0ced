"""A kind's own gates hold where a stage sets none."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mlbuild.records import Gate
from mlbuild.registry import Registry, Root

SPEC = """
    from mlbuild.api import In, Kind, Metric, Out, Params

    class Settings(Params):
        pass

    KIND = Kind(
        summary="Judges.",
        toolchain="torch",
        params=Settings,
        inputs={"model": In("Any", "What to judge.")},
        outputs={"report": Out("Report", "report.json", "What was found.")},
        metrics={"margin": Metric("Room."), "error": Metric("Error.", better="min")},
        gates={"margin": {"min": 0}, "error": {"max": 0.5}},
    )
    """
STAGE = """
    stages:
      judge:
        uses: judge/model
        inputs: {model: ./data}
    """


@pytest.fixture
def judged(project):
    folder = project.root / "kinds" / "judge" / "model"
    folder.mkdir(parents=True)
    (folder / "spec.py").write_text(dedent(SPEC))
    (folder / "run.py").write_text("def run(job):\n    pass\n")
    project.put("data/a.txt")
    project.registry = Registry([Root(project.root / "kinds", "built-in")], trusted=True)

    def gates(line: str = ""):
        return project.stages(dedent(STAGE) + (f"    gates: {line}\n" if line else ""))[
            "judge"
        ].gates

    return gates


def test_a_stage_without_gates_has_those_of_its_kind(judged) -> None:
    assert judged() == (Gate("margin", min=0), Gate("error", max=0.5))


def test_gates_of_a_stage_replace_those_of_its_kind(judged) -> None:
    assert judged("{error: {max: 2}}") == (Gate("error", max=2),)


def test_an_empty_map_of_gates_sets_none(judged) -> None:
    assert judged("{}") == ()


def test_kinds_gate_only_metrics_that_they_record() -> None:
    registry = Registry.load(None, trusted=False)
    kinds = {name: registry.get(name).kind for name in registry.names()}

    gated = {name for name, kind in kinds.items() if kind.gates}
    assert gated == {"validate/parity", "validate/core-ml"}
    assert all(set(kind.gates) <= set(kind.metrics) for kind in kinds.values())
