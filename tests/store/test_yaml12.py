import io
import math

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlbuild.store.yaml12 import entry, load

names = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
words = st.sampled_from(
    [
        "yes",
        "no",
        "null",
        "true",
        "1",
        "1.0",
        "1e-05",
        "12345678e01",
        "0123",
        "0x1f",
        "1_000",
        "1:30",
    ]
    + ["2020-01-01", "", " ", "a b", "a: b", "a #b", "- a", "é", "a\nb", "x" * 100, "w " * 60, "~"]
    + [
        "'quoted'",
        '"',
        "a]",
        "[a",
        "{a",
        "=",
        "<<",
        "./a/b",
        "../a",
        "/abs",
        "%a",
        "@a",
        "a:",
        ":a",
    ]
    + [
        "mlbuild run pipelines/p.yaml 'q[bits=4]' --only --no-record",
        "\t",
        "\u2028",
        "\ud7ff",
        "😀",
    ]
    + [f"{i:032x}" for i in (0, 1, 10**31, 0xE)]
    + ["1" * 32, "1e" + "5" * 30, "0" * 32 + ".dir"]
)
texts = words | st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars.filter(lambda v: not isinstance(v, float) or math.isfinite(v)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def by_dvc(name, value) -> str:
    """How DVC's own writer puts it."""
    writer = YAML()
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump({"stages": {name: value}}, stream)
    return stream.getvalue().partition("\n")[2]


@settings(max_examples=150, deadline=None)
@given(names, st.dictionaries(texts, values, max_size=4))
@example("a", {"b": [[1, [2]], {"c": {"d": []}}, [], {}]})
def test_an_entry_is_byte_for_byte_what_dvc_writes(name, value):
    assert entry(name, value) == by_dvc(name, value)


COMMAND = "cp ${{ inputs.a }} ${{ outputs.o }} && echo s00001 >> ${{ outputs.o }}"
lines = st.lists(
    st.sampled_from([*" :#'\"$[]&-=<|!%@`?./1~\\*,(;+e", "cp", "${{ inputs.a }}", "&&", "x" * 30])
    | st.just(" "),
    max_size=30,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(names, st.sampled_from(["value", "item", "inner", "nested"]), lines)
@example("a", "value", COMMAND)
@example("a", "inner", COMMAND + " and more words than a line of eighty can hold")
@example("a", "value", "x" * 100)
@example("a", "value", "[ -f " + "y" * 50 + " ] && touch a b c d e f g h i j k l m n o p q r s t")
def test_shell_lines_are_folded_and_quoted_as_dvc_does(name, where, line):
    place = {"value": line, "item": [line], "inner": [{"m": line}], "nested": {"l": {"m": line}}}
    assert entry(name, {"k": place[where]}) == by_dvc(name, {"k": place[where]})


def test_an_ordinary_command_is_written_without_ruamel(monkeypatch):
    def refused(*_):
        raise AssertionError("the slow writer was asked")

    monkeypatch.setattr("mlbuild.store.yaml12._by_ruamel", refused)
    text = entry("train", {"command": COMMAND, "o": []})
    assert text.startswith("  train:\n    command: cp ${{ inputs.a }}")


@settings(max_examples=150, deadline=None)
@given(names, st.dictionaries(names, values, max_size=4))
def test_what_was_written_is_read_back(name, value):
    assume("\\x85" not in repr(value))  # DVC's own writer and reader do not agree on it
    again = load(entry(name, value))
    assert again == {name: value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("1e-3", 0.001),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("010", 10),
        ("~", None),
        ("", None),
        (".inf", math.inf),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert load(f"a: {text}") == {"a": value}


def test_a_number_keeps_its_type():
    found = load(entry("a", {"x": 1.0, "y": 1}))
    assert [type(v) for v in found["a"].values()] == [float, int]
