"""Pipelines as pictures, and models as text."""

from mlbuild.records import DatasetRef, Input, PathRef, Stage, StageOutput
from mlbuild.report.drawing import draw
from mlbuild.report.model import describe_model

STAGES = [
    Stage("train", "train", kind="train/x", inputs=(Input("i", (DatasetRef("photos"),)),)),
    Stage(
        'q[bits="4"]',
        "q",
        command="cp",
        inputs=(Input("m", (StageOutput("train", "m"),)), Input("c", (PathRef("./a.py"),))),
        needs=("train",),
    ),
]


def test_as_text_each_stage_says_what_it_reads() -> None:
    assert draw(STAGES, "text").splitlines() == [
        "train        train/x  <- datasets.photos",
        'q[bits="4"]  run      <- train, ./a.py',
    ]


def test_mermaid_escapes_what_it_would_misread() -> None:
    text = draw(STAGES, "mermaid")
    assert text.startswith("flowchart TD\n")
    assert 'n2["./a.py"]' in text or 'n3["./a.py"]' in text
    assert "q#91;bits=#quot;4#quot;#93;" in text


def test_dot_draws_an_edge_once() -> None:
    text = draw(STAGES, "dot")
    assert text.count("n1 -> n2") == 1
    assert '\\"4\\"' in text


FACTS = {
    "type": "mlProgram",
    "spec_version": 8,
    "target": "iOS17",
    "size_bytes": 3_654_000,
    "inputs": [{"name": "image", "type": "image 224 x 224 RGB"}],
    "outputs": [{"name": "classLabel", "type": "string"}],
    "labels": 118,
    "metadata": {"license": "MIT", "version": "", "user_defined": {"a": "b"}},
    "operators": {"conv": 49, "add": 10},
    "parameters": 82, "weight_bytes": 83, "multiply_adds": 12_345, "uncounted": ["q"],
    "peak_bytes": 4_000, "peak_at": "large",
    "weights": [
        {"layer": "small", "operator": "conv", "shape": [1], "dtype": "fp16", "compression": [],
         "bits": 16, "bytes": 2},
        {"layer": "large", "operator": "conv", "shape": [9, 9], "dtype": "fp16",
         "compression": ["palette"], "bits": 8, "bytes": 81},
    ],
}  # fmt: skip


def test_a_model_is_told_with_its_largest_weights_first() -> None:
    lines = describe_model(FACTS, 1).splitlines()
    assert lines[0] == "mlProgram, specification version 8, needs iOS17, 3.7 MB"
    assert "operators: 49 conv, 10 add" in lines
    assert "parameters: 82 in 83 bytes" in lines
    assert "multiply-adds: 12,345, without 1 operators of unknown shapes" in lines
    assert "memory of values at its peak: 4.0 kB, at large" in lines
    assert lines[-2] == "weights: 2, the largest:"
    assert "large" in lines[-1]
    assert "palette" in lines[-1]


def test_a_network_that_could_not_be_run_says_why_there_are_no_multiply_adds() -> None:
    without = {k: v for k, v in FACTS.items() if k not in ("multiply_adds", "uncounted")}
    lines = describe_model(without | {"cost_unknown": "layer 0 'l': too small"}, 0).splitlines()
    assert "multiply-adds: unknown, layer 0 'l': too small" in lines


def test_metadata_of_the_user_stands_line_by_line() -> None:
    lines = describe_model(FACTS, 0).splitlines()
    assert "license: MIT" in lines
    assert "a: b" in lines
    assert not any(line.startswith("version") for line in lines)
