"""Builds as text and as JSON lines."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from mlbuild.records import (
    BuildResult,
    Failure,
    Gate,
    GateResult,
    Input,
    Outcome,
    Output,
    Reason,
    Stage,
    StageOutput,
    StageResult,
)
from mlbuild.report import words
from mlbuild.report.events import JsonLines, build_event, stage_event
from mlbuild.report.outcome import build_result, exit_code
from mlbuild.report.screen import Plain
from mlbuild.report.terminal import Terminal
from mlbuild.report.text import Text, summary

RAN = StageResult(
    "train",
    Outcome.RAN,
    (Reason.PARAMS_CHANGED,),
    "k1",
    12.34,
    outputs={"model": "build/p/train/model", "metrics": "build/p/train/metrics.json"},
    sizes={"model": 2_345_678},
)
FAILED = StageResult(
    "convert",
    Outcome.FAILED,
    (Reason.UPSTREAM_PENDING,),
    "k2",
    1.0,
    Failure("exit status 3", hint="look at the log", tail=("first", "last")),
    log=Path(".mlbuild/logs/convert.log"),
)
GATE = StageResult(
    "validate",
    Outcome.GATE_FAILED,
    gates=(GateResult(Gate("psnr_db", min=40), 38.0, False, "psnr_db 38 is below min 40"),),
)


def result(*stages: StageResult) -> BuildResult:
    return build_result("p", {s.stage: s for s in stages}, [s.stage for s in stages], 75.0)


def told(build: BuildResult, level: int = 0, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, soft_wrap=True)
    text = Text(Terminal(console) if terminal else Plain(out), level)
    train = Stage("train", "train", outputs=(Output("model", "m"),))
    convert = Stage("convert", "convert", inputs=(Input("m", (StageOutput("train", "model"),)),))
    text.began("p", [train, convert] if len(build.stages) > 1 else [train], 1)
    for stage in build.stages:
        text.started(stage.stage)
        text.ended(stage)
    text.finished(build)
    return out.getvalue()


def test_a_build_is_one_line_a_stage_then_artifacts_then_the_summary() -> None:
    assert told(result(RAN)).splitlines() == [
        "p: 1 stages, 1 to run or to decide",
        "  train  ran             12.3 s  params changed",
        "  build/p/train/model  2.3 MB",
        "p: ok in 1 min 15 s: 1 ran",
    ]


def test_a_failure_shows_its_last_lines_and_where_its_log_lies() -> None:
    text = told(result(RAN, FAILED))
    assert "    convert: exit status 3\n      | first\n      | last\n" in text
    assert "      hint: look at the log\n      log: .mlbuild/logs/convert.log\n" in text
    assert text.splitlines()[-1] == "p: failed (exit 1) in 1 min 15 s: 1 ran, 1 failed"


def test_a_stage_s_own_traceback_is_shown_in_place_of_its_last_lines() -> None:
    failure = Failure("ValueError: no", traceback="Traceback\n  run.py", tail=("other",))
    lines = words.failure_lines(StageResult("a", Outcome.FAILED, failure=failure))
    assert lines == ["a: ValueError: no", "  | Traceback", "  |   run.py"]


def test_a_refusal_by_the_kind_itself_shows_no_log() -> None:
    failure = Failure("no pictures", tail=("some warning", "error: no pictures"))
    lines = words.failure_lines(StageResult("a", Outcome.FAILED, failure=failure))
    assert lines == ["a: no pictures"]


def test_a_gate_that_failed_says_by_how_much() -> None:
    assert "    gate: psnr_db 38 is below min 40" in told(result(GATE))


def test_quiet_prints_the_summary_only() -> None:
    assert told(result(RAN), level=-1).splitlines() == ["p: ok in 1 min 15 s: 1 ran"]


def test_without_a_terminal_there_are_no_control_codes() -> None:
    assert "\x1b" not in told(result(RAN, FAILED))


def test_on_a_terminal_there_is_colour() -> None:
    assert "\x1b[" in told(result(RAN), terminal=True)


def test_brackets_of_variants_are_not_taken_for_markup() -> None:
    variant = StageResult("quantize[bits=4]", Outcome.RAN)
    assert "quantize[bits=4]" in told(result(variant), terminal=False)


def test_json_lines_are_objects_and_the_build_is_the_last_one() -> None:
    lines: list[str] = []
    listener = JsonLines(lines.append)
    build = result(RAN, FAILED)
    for stage in build.stages:
        listener.ended(stage)
    listener.finished(build)
    events = [json.loads(text) for text in lines]
    assert [e["event"] for e in events] == ["stage", "stage", "build"]
    assert events[0]["reasons"] == ["params_changed"]
    assert events[1]["error"] == {"message": "exit status 3", "hint": "look at the log"}
    assert {"outcome": "failed", "ran": 1, "failed": 1, "reused": 0}.items() <= events[2].items()


def test_the_build_object_keeps_every_field_of_the_contract() -> None:
    fields = [
        "event",
        "outcome",
        "ran",
        "reused",
        "restored",
        "failed",
        "skipped",
        "cancelled",
        "seconds",
    ]
    assert set(fields) <= build_event(result(RAN)).keys()


def test_the_stage_object_keeps_every_field_of_the_contract() -> None:
    fields = ["event", "stage", "outcome", "reasons", "seconds", "key"]
    assert set(fields) <= stage_event(RAN).keys()


CODES = [
    ((), 0),
    ((Outcome.RAN, Outcome.REUSED, Outcome.RESTORED, Outcome.EXCLUDED), 0),
    ((Outcome.FAILED, Outcome.SKIPPED), 1),
    ((Outcome.GATE_FAILED, Outcome.SKIPPED), 5),
    ((Outcome.FAILED, Outcome.GATE_FAILED), 1),
    ((Outcome.FAILED, Outcome.CANCELLED), 130),
]


@pytest.mark.parametrize(("outcomes", "code"), CODES)
def test_the_gravest_outcome_decides_the_exit_code(
    outcomes: tuple[Outcome, ...], code: int
) -> None:
    assert exit_code({str(n): StageResult(str(n), o) for n, o in enumerate(outcomes)}) == code


@pytest.mark.parametrize(("grave", "code"), [(4, 4), (3, 3), (1, 1)])
def test_a_failure_of_data_or_toolchain_has_its_own_exit_code(grave: int, code: int) -> None:
    failed = StageResult("a", Outcome.FAILED, failure=Failure("x", exit_code=grave))
    gate = StageResult("b", Outcome.GATE_FAILED)
    assert exit_code({"a": failed, "b": gate}) == code


def test_summaries_leave_out_what_did_not_happen() -> None:
    assert summary(result(RAN)) == "p: ok in 1 min 15 s: 1 ran"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (3_720, "1 h 2 min")],
)
def test_durations_are_told_as_people_say_them(value: float, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 bytes"), (2_345_678, "2.3 MB"), (5_000_000_000, "5.00 GB")]
)
def test_sizes_are_decimal(value: int, text: str) -> None:
    assert words.size(value) == text


def test_reading_data_is_shown_on_a_terminal_before_the_plan_stands() -> None:
    out = io.StringIO()
    text = Text(Terminal(Console(file=out, force_terminal=True, width=100)))
    text.advanced("", 1e9, 5e9, "reading data/big: 1.0 GB of 5.0 GB")
    text.began("p", [Stage("a", "a")], 1)
    text.advanced("", 2e9, 5e9, "storing")
    text.finished(result(RAN))
    assert "reading data/big: 1.0 GB of 5.0 GB" in out.getvalue()


def test_making_a_toolchain_is_shown_on_a_terminal_too() -> None:
    out = io.StringIO()
    text = Text(Terminal(Console(file=out, force_terminal=True, width=100)))
    text.began("p", [Stage("a", "a")], 1)
    text.advanced("", 0, None, "torch: installing 32 packages")
    text.finished(result(RAN))
    assert "torch: installing 32 packages" in out.getvalue()
