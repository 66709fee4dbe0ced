"""A model's report: what changed beside another version, what is wrong, what `--check` refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mlbuild.report.summary.badge import model_badge
from mlbuild.report.summary.json import model_json
from mlbuild.report.summary.model import Demands, FailOn, Model, Version, fresh, worst
from mlbuild.report.summary.model_page import page
from mlbuild.report.summary.text import text

FACTS: dict[str, Any] = {
    "type": "mlProgram",
    "spec_version": 8,
    "target": "iOS17",
    "inputs": [{"name": "image", "type": "image RGB 224x224"}],
    "outputs": [{"name": "label", "type": "string"}],
    "size_bytes": 3_100_000,
    "operators": {"conv": 12, "relu": 5},
    "parameters": 4_000_000,
}
FIGURES = {"psnr_db": 51.46, "max_abs": 0.1, "nan": 0, "inf": 0}
WARNING = {
    "severity": "warning",
    "rule": "float16-overflow",
    "place": "operator 'conv_7'",
    "what": "reaches 70,000",
    "remedy": "scale it",
}
NOTE = {**WARNING, "severity": "note", "rule": "idle-compression", "place": "weight 'w'"}
GUILTY = {
    "why": "on right inputs it differs",
    "operator": {
        "type": "sigmoid",
        "opset": "iOS17",
        "block": "main",
        "index": 3,
        "outputs": ["y"],
    },
    "scope": "",
    "reference": "",
    "damage": 0.5,
    "confidence": 0.9,
    "cause": "arithmetic",
    "doubtful": [],
}
COMPARISON = {
    "guilty": None,
    "suspects": [],
    "outputs": [{"name": "y", "declared": FIGURES, "float32": FIGURES}],
    "rows": [],
    "values": 3,
    "matched": 3,
    "samples": 4,
}
NOW = Version(FACTS, ("ash", "beech"))
MODEL = Model("Dogs", "models/Dogs.mlpackage", NOW)


def told(model: Model) -> str:
    return text(page(model))


def rows(model: Model) -> list[list[str]]:
    """The cells of every line, without those that are empty."""
    return [re.split(r" {2,}", line.strip()) for line in told(model).splitlines()]


def test_a_model_alone_is_described() -> None:
    assert told(MODEL) == (
        "mlbuild: Dogs: 3.1 MB, nothing found\n"
        "\n"
        "                now\n"
        "  size          3.1 MB\n"
        "  type          mlProgram\n"
        "  spec version  8\n"
        "  target        iOS17\n"
        "  parameters    4,000,000\n"
        "\n"
        "Inputs and outputs:\n"
        "          name   now\n"
        "  input   image  image RGB 224x224\n"
        "  output  label  string\n"
        "\n"
        "Operators:\n"
        "  operator  now\n"
        "  conv      12\n"
        "  relu      5"
    )


def test_a_renamed_output_is_told_as_gone_and_new() -> None:
    old = Version({**FACTS, "outputs": [{"name": "classLabel", "type": "string"}]}, NOW.labels)
    shown = rows(replace(MODEL, before=old, against="main (1a2b3c4)"))
    assert ["compared with main (1a2b3c4)"] in shown
    assert ["Inputs and outputs changed:"] in shown
    assert ["output", "label", "string", "new"] in shown
    assert ["output", "classLabel", "string", "gone"] in shown


def test_labels_that_came_and_went_are_told() -> None:
    shown = told(replace(MODEL, before=Version(FACTS, ("ash", "fir"))))
    assert "Labels:\n  gone: fir\n  new: beech\n" in shown


def test_labels_in_another_order_are_told() -> None:
    shown = told(replace(MODEL, before=Version(FACTS, ("beech", "ash"))))
    assert "Labels:\n  the same labels in another order\n" in shown


def test_a_newer_specification_is_told_as_changed() -> None:
    shown = rows(replace(MODEL, before=Version({**FACTS, "spec_version": 7, "target": "iOS16"})))
    assert ["spec version", "8", "7", "changed"] in shown
    assert ["target", "iOS17", "iOS16", "changed"] in shown


def test_findings_are_told_apart_by_what_was_there_before() -> None:
    now = replace(NOW, findings=(WARNING, NOTE))
    gone = {**NOTE, "rule": "opset", "place": "function main"}
    shown = told(replace(MODEL, now=now, before=replace(NOW, findings=(NOTE, gone))))
    assert "Findings that are new:\n" in shown
    assert "  warning  operator 'conv_7'  reaches 70,000  scale it\n" in shown
    assert "  gone: note opset: function main\n" in shown
    assert "Findings that were there before:\n" in shown


def test_a_finding_whose_figures_moved_is_the_same() -> None:
    moved = {**WARNING, "what": "reaches 71,000"}
    assert fresh([moved], [WARNING]) == ((), ())


def test_likeness_to_source_and_version_before_are_told() -> None:
    beside = {"samples": 20, "outputs": [{**FIGURES, "psnr_db": 30.0}], "agreed": 19}
    model = replace(MODEL, before=NOW, beside=beside, source="dogs.onnx", comparison=COMPARISON)
    shown = rows(model)
    assert shown[0] == ["mlbuild: Dogs: 51.5 dB to its source, 3.1 MB, nothing found"]
    assert ["source: dogs.onnx, 4 samples"] in shown
    assert ["likeness to the version before", "30.0 dB"] in shown
    agreement = "0.95 (n=20, 95 % 0.7639 to 0.9911)"
    assert ["agreement with the version before", agreement] in shown


def test_versions_that_cannot_be_asked_the_same_are_told() -> None:
    shown = told(replace(MODEL, before=NOW, beside={"why": "input 'image': missing"}))
    assert "  the two versions could not be asked the same: input 'image': missing\n" in shown


@pytest.mark.parametrize(
    ("what", "figures", "least"),
    [
        ("the worst output counts", [FIGURES, {**FIGURES, "psnr_db": 20.0}], 20.0),
        ("equal is 200", [{**FIGURES, "psnr_db": None, "max_abs": 0}], 200.0),
        ("nothing alike is 0", [{**FIGURES, "psnr_db": None, "max_abs": 3}], 0.0),
        ("NaN is 0, however alike the rest", [{**FIGURES, "nan": 1}], 0.0),
        ("no outputs have none", [], None),
    ],
)
def test_likeness_is_one_number(
    what: str, figures: list[dict[str, Any]], least: float | None
) -> None:
    assert worst(figures) == least


REFUSED = replace(NOW, refused="operator 'iOS18.x' is not known")
JUDGED: list[tuple[str, Model, Demands, tuple[str, ...]]] = [
    (
        "a note is no error",
        replace(MODEL, now=replace(NOW, findings=(NOTE,))),
        Demands(),
        (),
    ),
    (
        "a note is one where notes are refused",
        replace(MODEL, now=replace(NOW, findings=(NOTE, NOTE))),
        Demands(FailOn.NOTE),
        ("lint: 2 notes",),
    ),
    (
        "a warning where warnings are",
        replace(MODEL, now=replace(NOW, findings=(WARNING,))),
        Demands(FailOn.WARNING),
        ("lint: 1 warning",),
    ),
    (
        "what cannot be run is an error",
        replace(MODEL, now=REFUSED),
        Demands(),
        ("it cannot be run: operator 'iOS18.x' is not known",),
    ),
    (
        "so is an operator at fault",
        replace(MODEL, comparison={**COMPARISON, "guilty": GUILTY}),
        Demands(),
        ("an operator is at fault: on right inputs it differs",),
    ),
    (
        "never is never",
        replace(MODEL, now=REFUSED, comparison={**COMPARISON, "guilty": GUILTY}),
        Demands(FailOn.NEVER),
        (),
    ),
    (
        "too far from its source",
        replace(MODEL, comparison=COMPARISON),
        Demands(min_psnr_db=60),
        ("51.5 dB to its source is below 60 dB",),
    ),
    ("near enough", replace(MODEL, comparison=COMPARISON), Demands(min_psnr_db=40), ()),
    (
        "likeness to nothing",
        MODEL,
        Demands(FailOn.NEVER, min_psnr_db=40),
        ("it was not compared with its source, so 40 dB cannot be held against it",),
    ),
]


@pytest.mark.parametrize(("what", "model", "demands", "failed"), JUDGED, ids=[j[0] for j in JUDGED])
def test_what_check_refuses(
    what: str, model: Model, demands: Demands, failed: tuple[str, ...]
) -> None:
    judged = replace(model, demands=demands)
    assert judged.failed == failed
    assert judged.exit_code == (5 if failed else 0)


BADGES = [
    (
        "compared",
        replace(MODEL, comparison=COMPARISON),
        "51 dB, 3.1 MB, verified on Linux",
        "brightgreen",
    ),
    ("alone", MODEL, "3.1 MB, no source to compare with", "brightgreen"),
    (
        "with a warning",
        replace(MODEL, comparison=COMPARISON, now=replace(NOW, findings=(WARNING,))),
        "51 dB, 3.1 MB, verified on Linux",
        "yellow",
    ),
    ("refused", replace(MODEL, now=REFUSED), "3.1 MB, check failed", "red"),
]


@pytest.mark.parametrize(("what", "model", "message", "color"), BADGES, ids=[b[0] for b in BADGES])
def test_the_badge_of_a_model(
    monkeypatch: pytest.MonkeyPatch, what: str, model: Model, message: str, color: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    badge = {"schemaVersion": 1, "label": "Dogs", "message": message, "color": color}
    assert json.loads(model_badge(model)) == badge


def test_json_holds_both_versions_and_what_is_between() -> None:
    now = replace(NOW, findings=(WARNING,))
    model = replace(MODEL, now=now, before=NOW, comparison=COMPARISON)
    found = json.loads(model_json(model))
    assert (found["ok"], found["psnr_db"], found["size_bytes"]) == (True, 51.46, 3_100_000)
    assert found["findings_new"] == [WARNING]
    assert found["before"]["labels"] == ["ash", "beech"]
    assert found["comparison"] == COMPARISON
