"""Recorded metrics against limits."""

import json
from pathlib import Path

import pytest

from mlbuild.errors import LedgerError
from mlbuild.gates import evaluate, read_metrics
from mlbuild.records import Gate, GateResult, Stage


def judge(gate: Gate, metrics: object) -> GateResult:
    (result,) = evaluate(Stage("validate", "validate", gates=(gate,)), metrics)  # type: ignore[arg-type]
    return result


SHARE = {"value": 0.9, "n": 100, "low": 0.826, "high": 0.945}

ROWS = [
    ("at the limit holds", Gate("psnr_db", min=40), {"psnr_db": 40}, True, "psnr_db 40 holds"),
    (
        "below the limit does not",
        Gate("psnr_db", min=40),
        {"psnr_db": 38.25},
        False,
        "psnr_db 38.25 is below min 40",
    ),
    (
        "above the limit does not",
        Gate("size_mb", max=3),
        {"size_mb": 3.5},
        False,
        "size_mb 3.5 is above max 3",
    ),
    (
        "a share is shown with n and interval",
        Gate("accuracy", min=0.95),
        {"accuracy": SHARE},
        False,
        "accuracy 0.9 (n=100, 95 % 0.826 to 0.945) is below min 0.95",
    ),
    (
        "min_lower looks at the interval's lower end",
        Gate("accuracy", min_lower=0.85),
        {"accuracy": SHARE},
        False,
        "accuracy 0.9 (n=100, 95 % 0.826 to 0.945) is not surely above min_lower 0.85",
    ),
    (
        "min_lower of a number that is no share does not hold",
        Gate("psnr_db", min_lower=30),
        {"psnr_db": 40},
        False,
        "psnr_db 40 is no share, so min_lower 30 cannot be held against it",
    ),
    (
        "a metric that was not recorded does not hold",
        Gate("psnr_db", min=40),
        {},
        False,
        "psnr_db: the stage recorded no such metric",
    ),
    (
        "a dot leads into a nested map",
        Gate("precision.beagle", min=0.5),
        {"precision": {"beagle": 0.75}},
        True,
        "precision.beagle 0.75 holds",
    ),
    (
        "nan never holds",
        Gate("psnr_db", min=40),
        {"psnr_db": float("nan")},
        False,
        "psnr_db nan is below min 40",
    ),
    (
        "max_drop passes with a note while there is no release",
        Gate("accuracy", max_drop=0.01, against="release"),
        {"accuracy": 0.9},
        True,
        "accuracy 0.9: there is no release yet to compare with, so it passes",
    ),
    (
        "first holds while there is no release",
        Gate("accuracy", max_drop=0.01, against="release", first=(("min", 0.95),)),
        {"accuracy": 0.9},
        False,
        "accuracy 0.9 is below first.min 0.95",
    ),
]


@pytest.mark.parametrize(("what", "gate", "metrics", "ok", "text"), ROWS, ids=[r[0] for r in ROWS])
def test_a_gate_judges_a_metric(
    what: str, gate: Gate, metrics: dict[str, object], ok: bool, text: str
) -> None:
    result = judge(gate, metrics)
    assert (result.ok, result.text) == (ok, text)


def test_metrics_that_were_never_written_are_empty(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.json") == {}


def test_broken_metrics_are_told_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("{")
    with pytest.raises(LedgerError) as caught:
        read_metrics(file)
    assert caught.value.render().startswith(f"{file}: not JSON: ")
    assert "hint: delete it; the next run restores it" in caught.value.render()


def test_metrics_that_are_a_list_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps([1]))
    with pytest.raises(LedgerError, match="metrics must be a JSON object"):
        read_metrics(file)
