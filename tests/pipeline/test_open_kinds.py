"""Kinds whose stages declare inputs and outputs of their own."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mlbuild.registry import Registry, Root

OPEN = """
    from mlbuild.api import In, Kind, Params

    class Settings(Params):
        params: dict = {}

    KIND = Kind(
        summary="Runs anything.",
        toolchain="torch",
        params=Settings,
        inputs={"script": In("File", "What is run.")},
        outputs={},
        open=True,
    )
    """
STAGES = """
    stages:
      train:
        uses: run/anything
        inputs: {script: ./s.py, data: ./data}
        outputs: {model: {path: build/net, type: TorchModel}, notes: build/notes.txt}
        gates: {whatever: {min: 1}}
    """


@pytest.fixture(autouse=True)
def kinds(project) -> None:
    folder = project.root / "kinds" / "run" / "anything"
    folder.mkdir(parents=True)
    (folder / "spec.py").write_text(dedent(OPEN))
    (folder / "run.py").write_text("def run(job): pass\n")
    project.registry = Registry([Root(project.root / "kinds", "built-in")], trusted=True)
    project.put("s.py")
    project.put("data")


def test_a_stage_declares_inputs_outputs_and_metrics_of_its_own(project) -> None:
    stage = project.stages(STAGES)["train"]
    assert [i.role for i in stage.inputs] == ["script", "data"]
    assert [(o.name, o.path, o.type) for o in stage.outputs] == [
        ("model", "build/net", "TorchModel"),
        ("notes", "build/notes.txt", "Any"),
        ("metrics", "build/dogs/train/metrics.json", "Report"),
    ]
    assert [g.metric for g in stage.gates] == ["whatever"]


def test_the_type_that_it_declares_is_checked_by_what_reads_it(project) -> None:
    told = project.told(
        "version: 1\n" + dedent(STAGES) + "  c: {uses: to/coreml, inputs: {model: train.notes}}\n"
        "  d: {uses: pick/best, inputs: {models: {all: train.model}}, with: {by: x}}\n"
    )
    assert told.count("p.yaml:") == 1
    assert "input 'models' takes CoreMLModel, but 'train.model' is TorchModel" in told


def test_what_the_kind_itself_needs_is_still_asked_for(project) -> None:
    told = project.told("version: 1\n" + dedent(STAGES).replace("script: ./s.py, ", ""))
    assert "stage 'train': input 'script' is missing" in told
