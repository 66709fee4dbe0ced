"""Plans as text: what would be done, and what of a stage's key changed."""

import io
from typing import Any

from rich.console import Console

from mlbuild.plan import Planned
from mlbuild.records import Decision, Gate, GateResult, Reason, Stage, StageRecord
from mlbuild.report.plan import explanation, print_plan


def planned(decision: Decision, *reasons: Reason, **more: Any) -> Planned:
    return Planned(Stage("quantize[bits=4]", "quantize"), decision, reasons, **more)


def told(*items: Planned) -> list[str]:
    out = io.StringIO()
    print_plan(Console(file=out, width=100), "p", list(items))
    return out.getvalue().splitlines()


def changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    previous = StageRecord("k1", old, {})
    item = planned(Decision.RUN, Reason.PARAMS_CHANGED, key="k2", parts=new, previous=previous)
    return explanation(item)


def test_a_plan_is_one_line_a_stage_then_the_counts() -> None:
    assert told(planned(Decision.RUN, Reason.FIRST_RUN), planned(Decision.REUSE)) == [
        "  quantize[bits=4]  run      first run",
        "  quantize[bits=4]  reuse",
        "p: 1 to reuse, 1 to run",
    ]


def test_a_gate_that_does_not_hold_is_told() -> None:
    gate = GateResult(Gate("psnr_db", min=40), 20.0, False, "psnr_db 20 is below min 40")
    assert "    gate: psnr_db 20 is below min 40" in told(planned(Decision.REUSE, gates=(gate,)))


def test_what_stands_behind_a_gate_says_so() -> None:
    lines = told(planned(Decision.PENDING, Reason.UPSTREAM_PENDING, blocked=True))
    assert lines[0] == "  quantize[bits=4]  pending  behind a gate that did not hold"


def test_an_explanation_shows_old_and_new_value_of_each_part() -> None:
    lines = changed({"params": {"bits": 6, "mode": "a"}}, {"params": {"bits": 4, "mode": "a"}})
    assert lines == ["quantize[bits=4]: run (params changed)", "  params.bits: 6 -> 4"]


def test_an_explanation_names_the_variants_of_a_list() -> None:
    old = {"inputs": {"models": [[{"bits": 4}, "a"], [{"bits": 8}, "b"]]}}
    new = {"inputs": {"models": [[{"bits": 8}, "c"]]}}
    assert changed(old, new)[1:] == [
        "  inputs.models.[bits=4]: a -> (none)",
        "  inputs.models.[bits=8]: b -> c",
    ]


def test_long_values_are_cut() -> None:
    (line,) = changed({"command": "x" * 200}, {"command": "y"})[1:]
    assert line == "  command: " + "x" * 57 + "... -> y"


def test_a_stage_without_a_past_says_so() -> None:
    item = planned(Decision.RUN, Reason.FIRST_RUN, key="k")
    assert explanation(item)[1] == "  there is no record of an earlier run"


def test_a_stage_whose_input_is_not_built_says_so() -> None:
    item = planned(Decision.PENDING, Reason.UPSTREAM_PENDING)
    assert explanation(item)[1].startswith("  an input is not built yet")


def test_a_stage_that_is_as_it_was_says_so() -> None:
    item = planned(Decision.REUSE, key="k", parts={"a": 1}, previous=StageRecord("k", {"a": 1}, {}))
    assert explanation(item) == ["quantize[bits=4]: reuse", "  every part of its key is as it was"]
