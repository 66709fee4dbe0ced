"""What `mlbuild compare` prints."""

import copy
from typing import Any

from mlbuild.report.comparison import describe_comparison

FIGURES = {"psnr_db": 61.25, "max_abs": 0.0, "nan": 0, "inf": 0}
USE = {
    "type": "softmax",
    "opset": "iOS17",
    "block": "main",
    "index": 9,
    "outputs": ["y"],
    "types": ["fp16[1, 5]"],
}
FACTS: dict[str, Any] = {
    "guilty": {
        "operator": USE,
        "confidence": 0.95,
        "why": "it differs",
        "cause": "arithmetic",
        "reference": "_softmax of head (Softmax)",
        "scope": "head (Softmax)",
        "local": 0.5,
        "damage": 0.25,
        "doubtful": [],
    },
    "suspects": [{}],
    "first": "y",
    "outputs": [{"name": "y", "declared": FIGURES, "float32": {**FIGURES, "psnr_db": None}}],
    "rows": [
        {
            "value": "y",
            "operator": USE,
            "reference": "_softmax of head (Softmax)",
            "declared": FIGURES,
            "float32": FIGURES,
            "local": 0.5,
            "damage": 0.25,
        }
    ],
    "values": 4,
    "matched": 3,
    "samples": 2,
}


def test_the_guilty_operator_comes_last_with_place_and_reason() -> None:
    assert describe_comparison(FACTS, 10) == (
        "3 of 4 values found in the reference, 2 samples\n"
        "output y: 61.2 dB as declared, equal without rounding values to float16\n"
        "\n"
        "operator  value  damage  local   declared  float32  reference\n"
        "softmax   y      25.00%  50.00%  61.2 dB   61.2 dB  _softmax of head (Softmax)\n"
        "\n"
        "guilty: iOS17.softmax (makes y; operation 9 of main)\n"
        "  it differs\n"
        "  in the reference: _softmax of head (Softmax)\n"
        "  damage to the outputs: 25.00%, confidence 95%, cause: arithmetic"
    )


def test_where_nobody_is_guilty_that_is_said() -> None:
    facts = copy.deepcopy(FACTS)
    facts["guilty"], facts["suspects"] = None, []
    assert describe_comparison(facts, 0).splitlines()[-1] == (
        "no operator is at fault: what differs, rounding and compression explain"
    )


def test_values_that_are_not_finite_are_counted() -> None:
    facts = copy.deepcopy(FACTS)
    facts["outputs"][0]["declared"] = {"psnr_db": None, "nan": 2, "inf": 1}
    assert "output y: 2 NaN, 1 inf as declared" in describe_comparison(facts, 0)


def test_values_that_have_no_ratio_are_equal_or_not_alike_at_all() -> None:
    facts = copy.deepcopy(FACTS)
    facts["outputs"][0]["declared"] = {**FIGURES, "psnr_db": None, "max_abs": 0.0}
    facts["outputs"][0]["float32"] = {**FIGURES, "psnr_db": None, "max_abs": None}
    assert "output y: equal as declared, nothing alike without rounding" in (
        describe_comparison(facts, 0)
    )


def test_only_operators_of_programs_are_told_with_an_opset() -> None:
    facts = copy.deepcopy(FACTS)
    for opset, block, told in (
        ("specification 4", "active", "guilty: relu (makes "),
        ("specification 1", "", "; the model itself)"),
    ):
        facts["guilty"]["operator"] |= {"opset": opset, "block": block, "type": "relu"}
        assert told in describe_comparison(facts, 0)
