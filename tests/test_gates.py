"""Recorded metrics against limits."""

import json
from pathlib import Path

import pytest

from mlbuild.errors import LedgerError
from mlbuild.gates import Metrics, evaluate, read_metrics
from mlbuild.records import Gate, GateResult


def judge(gate: Gate, metrics: Metrics, released: Metrics | None = None) -> GateResult:
    (result,) = evaluate([gate], metrics, released)
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
        "min_lower of a number without an interval does not hold",
        Gate("psnr_db", min_lower=30),
        {"psnr_db": 40},
        False,
        "psnr_db 40 is without an interval, so min_lower 30 cannot be held against it",
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
        Gate("accuracy", max_drop=0.01),
        {"accuracy": 0.9},
        True,
        "accuracy 0.9: there is no release yet to compare with, so it passes",
    ),
    (
        "first holds while there is no release",
        Gate("accuracy", max_drop=0.01, first=(("min", 0.95),)),
        {"accuracy": 0.9},
        False,
        "accuracy 0.9 is below first.min 0.95",
    ),
]


DROP = {"value": 0.02, "low": -0.01, "high": 0.05, "n": 200}
INTERVALS = [
    (
        "a loss that noise explains is no significant one",
        Gate("drop", max_lower=0),
        DROP,
        True,
        "drop 0.02 (n=200, 95 % -0.010 to 0.050) holds",
    ),
    (
        "a loss beyond the noise is one",
        Gate("drop", max_lower=0),
        {"value": 0.04, "low": 0.01, "high": 0.07},
        False,
        "drop 0.04 (95 % 0.010 to 0.070) is surely above max_lower 0",
    ),
    (
        "that nothing was lost must be shown",
        Gate("drop", max_upper=0.03),
        DROP,
        False,
        "drop 0.02 (n=200, 95 % -0.010 to 0.050) is not surely below max_upper 0.03",
    ),
    (
        "a gain may be asked for unless it is excluded",
        Gate("drop", min_upper=0.06),
        DROP,
        False,
        "drop 0.02 (n=200, 95 % -0.010 to 0.050) is surely below min_upper 0.06",
    ),
]


@pytest.mark.parametrize(
    ("what", "gate", "value", "ok", "text"), INTERVALS, ids=[r[0] for r in INTERVALS]
)
def test_a_gate_judges_an_end_of_an_interval(
    what: str, gate: Gate, value: dict[str, float], ok: bool, text: str
) -> None:
    result = judge(gate, {"drop": value})
    assert (result.ok, result.text) == (ok, text)


SINCE = [
    (
        "a drop within the limit holds",
        Gate("accuracy", max_drop=0.01),
        (0.89, 0.9),
        "accuracy 0.89 holds (the last release: 0.9)",
    ),
    (
        "a larger drop does not",
        Gate("accuracy", max_drop=0.01),
        (0.88, 0.9),
        "accuracy 0.88 is 0.02 below the last release's 0.9, more than 0.01",
    ),
    (
        "a rise is no drop",
        Gate("accuracy", max_drop=0.01),
        (0.99, 0.9),
        "accuracy 0.99 holds (the last release: 0.9)",
    ),
    (
        "a relative rise is a share of what was released",
        Gate("size_mb", max_rise=0.1, relative=("max_rise",)),
        (3.4, 3.0),
        "size_mb 3.4 is 0.4 above the last release's 3, more than 10 %",
    ),
    (
        "a relative rise within its share holds",
        Gate("size_mb", max_rise=0.1, relative=("max_rise",)),
        (3.3, 3.0),
        "size_mb 3.3 holds (the last release: 3)",
    ),
    (
        "of a negative figure too",
        Gate("log_score", max_drop=0.5, relative=("max_drop",)),
        (-3.2, -2.0),
        "log_score -3.2 is 1.2 below the last release's -2, more than 50 %",
    ),
]


@pytest.mark.parametrize(("what", "gate", "pair", "text"), SINCE, ids=[r[0] for r in SINCE])
def test_a_gate_compares_with_the_last_release(
    what: str, gate: Gate, pair: tuple[float, float], text: str
) -> None:
    now, before = pair
    result = judge(gate, {gate.metric: now}, {gate.metric: before})
    assert (result.text, result.ok, result.released) == (text, " holds" in text, before)


def test_a_metric_that_the_last_release_had_not_passes_with_a_note() -> None:
    result = judge(Gate("accuracy", max_drop=0.01), {"accuracy": 0.5}, {})
    text = "accuracy 0.5: the last release has none to compare with, so it passes"
    assert (result.ok, result.text) == (True, text)


def test_first_counts_no_more_once_there_is_a_release() -> None:
    gate = Gate("accuracy", max_drop=0.1, first=(("min", 0.99),))
    assert judge(gate, {"accuracy": 0.9}, {"accuracy": 0.9}).ok


def test_a_waived_gate_holds_and_says_why() -> None:
    gate = Gate("psnr_db", min=40)
    (result,) = evaluate([gate], {"psnr_db": 30}, waived={"psnr_db": "known, see #12"})
    assert (result.ok, result.waiver) == (True, "known, see #12")
    assert result.text == "psnr_db 30 is below min 40; waived: known, see #12"


def test_a_waiver_of_a_gate_that_holds_is_not_used() -> None:
    (result,) = evaluate([Gate("psnr_db", min=40)], {"psnr_db": 50}, waived={"psnr_db": "why"})
    assert result.waiver is None


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
