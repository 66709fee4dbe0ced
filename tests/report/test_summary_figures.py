"""Figures in words, and differences that know which direction is better."""

import pytest

from mlbuild.records import Json
from mlbuild.report.summary.built_page import size_difference
from mlbuild.report.summary.figures import difference, flat, shown
from mlbuild.report.summary.page import Cell, Tone

SHARE = {"value": 0.9, "n": 100, "low": 0.826, "high": 0.945}

SHOWN = [
    ("a number", 0.30000000000000004, "", "0.3"),
    ("a whole number", 12000.0, "", "12,000"),
    ("decibels have one digit", 51.463, "dB", "51.5 dB"),
    ("what parity records of equal answers", 200, "dB", "equal"),
    ("megabytes as a size", 0.002443, "MB", "2.4 kB"),
    ("a share with its sample", SHARE, "", "0.9 (n=100, 95 % 0.826 to 0.945)"),
    ("an interval without a count", {"value": 2, "low": 1, "high": 3}, "", "2 (95 % 1 to 3)"),
    ("nothing", None, "", ""),
    ("what is no number", "beagle", "", ""),
    ("no end", float("inf"), "", "inf"),
]


@pytest.mark.parametrize(("what", "recorded", "unit", "text"), SHOWN, ids=[r[0] for r in SHOWN])
def test_a_figure_in_words(what: str, recorded: Json, unit: str, text: str) -> None:
    assert shown(recorded, unit) == text


DIFFERENCES = [
    ("more of what should be high", 40, 42, "max", "", Cell("▲ +2, better", Tone.GOOD)),
    ("less of what should be high", 42, 40, "max", "dB", Cell("▼ -2 dB, worse", Tone.BAD)),
    ("more of what should be low", 0.1, 0.3, "min", "", Cell("▲ +0.2, worse", Tone.BAD)),
    ("less of what should be low", 3, 2.5, "min", "MB", Cell("▼ -500.0 kB, better", Tone.GOOD)),
    ("neither is better", 3, 4, "none", "", Cell("▲ +1")),
    ("equal", 3, 3.0, "max", "", Cell("=")),
    ("rounding of nothing", 6e-16, 8e-16, "min", "", Cell("=")),
    ("new", None, 3, "max", "", Cell("")),
    ("gone", 3, None, "max", "", Cell("")),
    (
        "a sample too small to tell",
        0.88,
        SHARE,
        "max",
        "",
        Cell("▲ +0.02, within its interval", Tone.DOUBT),
    ),
    (
        "a sample large enough",
        {**SHARE, "value": 0.8},
        SHARE,
        "max",
        "",
        Cell("▲ +0.1, better", Tone.GOOD),
    ),
]


@pytest.mark.parametrize(
    ("what", "before", "now", "better", "unit", "cell"),
    DIFFERENCES,
    ids=[r[0] for r in DIFFERENCES],
)
def test_a_difference_says_whether_it_is_for_the_better(
    what: str, before: Json, now: Json, better: str, unit: str, cell: Cell
) -> None:
    assert difference(before, now, better, unit) == cell


def test_metrics_in_maps_are_named_as_gates_name_them() -> None:
    metrics = {"f1": {"beagle": 0.5, "pug": {"value": 1, "n": 3}}, "note": "x", "loss": 2}
    assert flat(metrics) == {"f1.beagle": 0.5, "f1.pug": {"value": 1, "n": 3}, "loss": 2}


@pytest.mark.parametrize(
    ("before", "now", "cell"),
    [
        (1000, 900, Cell("▼ -100 bytes (-10.0%)", Tone.GOOD)),
        (1_000_000, 1_500_000, Cell("▲ +500.0 kB (+50.0%)", Tone.BAD)),
        (0, 5, Cell("▲ +5 bytes", Tone.BAD)),
        (7, 7, Cell("=")),
        (None, 7, Cell("")),
    ],
)
def test_smaller_is_better(before: int | None, now: int, cell: Cell) -> None:
    assert size_difference(before, now) == cell
