"""The few signs that templates know, and text that becomes YAML."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.starting.filling import fill, listed, quoted

VALUES = {"name": "dogs", "big": True, "small": False, "none": ""}


def test_a_value_takes_the_place_of_its_name() -> None:
    assert fill("a %{name}: ${{ params.x }} 95 %", VALUES) == "a dogs: ${{ params.x }} 95 %"


@pytest.mark.parametrize(
    ("condition", "stands"),
    [("big", True), ("small", False), ("none", False), ("name", True), ("not small", True)],
)
def test_lines_stand_or_fall_by_a_condition(condition: str, stands: bool) -> None:
    text = f"a\n%if {condition}\nb\n%else\nc\n%end\nd\n"
    assert fill(text, VALUES) == f"a\n{'b' if stands else 'c'}\nd\n"


def test_what_falls_takes_everything_in_it_along() -> None:
    text = "%if small\n%if big\na\n%else\nb\n%end\n%else\nc\n%end\n"
    assert fill(text, VALUES) == "c\n"


def test_a_name_that_has_no_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="other"):
        fill("%{other}", VALUES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%if big\n", "%if without %end"),
        ("%end\n", "%end without %if"),
        ("%else\n", "%else without %if"),
    ],
)
def test_conditions_that_do_not_close_are_an_error(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fill(text, VALUES)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_back_from_yaml(text: str) -> None:
    assert yaml.safe_load(f"a: {{b: {quoted(text)}}}") == {"a": {"b": text}}


def test_a_word_that_means_something_to_yaml_stays_a_word() -> None:
    words = ["no", "Null", "1e3", "0x1f", "2024-01-01", ".", "~", "a: b", "x # y", "-", "1_000"]
    assert yaml.safe_load(listed(words)) == words
