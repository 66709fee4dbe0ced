import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.store.names import ledger_names
from mlbuild.store.sections import split

LOCK = """\
schema: '2.0'
stages:
  a:
    cmd: x
    outs:
    - path: a
      md5: '1'
  '2024':
    cmd: "long

      text"
  b-c:
    cmd: y
datasets: []
"""


def test_blocks_are_cut_at_their_names():
    found = split(LOCK)
    assert list(found.blocks) == ["a", "2024", "b-c"]
    assert found.head == "schema: '2.0'\n"
    assert found.tail == "datasets: []\n"
    assert found.blocks["b-c"] == "  b-c:\n    cmd: y\n"
    assert not found.broken


def test_what_was_cut_is_put_together_again():
    assert split(LOCK).text() == LOCK


@pytest.mark.parametrize("text", ["", "schema: '2.0'\n", "schema: '2.0'\nstages: {}\n", "stages:"])
def test_a_file_without_stages_has_no_blocks(text):
    assert split(text).blocks == {}


def test_a_last_line_without_a_newline_is_ended():
    assert split("stages:\n  a:\n    cmd: x").blocks == {"a": "  a:\n    cmd: x\n"}


def lines(*names: str) -> str:
    return "".join(f"  {n}:\n    cmd: {n}\n    deps: []\n" for n in names)


@pytest.mark.parametrize(
    ("hunk", "left"),
    [
        ("<<<<<<< HEAD\n=======\n" + lines("n") + ">>>>>>> x\n", ["a", "z"]),
        ("<<<<<<< HEAD\n" + lines("m") + "=======\n" + lines("n") + ">>>>>>> x\n", ["a", "z"]),
        ("<<<<<<< HEAD\n" + lines("m") + "||||||| base\n=======\n>>>>>>> x\n", ["a", "z"]),
        ("<<<<<<< HEAD\n    x: 1\n=======\n    x: 2\n>>>>>>> x\n", ["z"]),
        ("<<<<<<< HEAD\n=======\n    x: 2\n>>>>>>> x\n", ["z"]),
    ],
)
def test_a_conflict_spoils_the_blocks_that_it_runs_through(hunk, left):
    found = split("schema: '2.0'\nstages:\n" + lines("a") + hunk + lines("z"))
    assert list(found.blocks) == left
    assert found.broken
    assert all(found.blocks[n] == lines(n) for n in left)


def test_the_rest_of_a_block_behind_a_conflict_is_left_out_too():
    text = (
        "stages:\n"
        + lines("a")
        + "<<<<<<< H\n  m:\n=======\n  n:\n>>>>>>> x\n    cmd: n\n"
        + lines("z")
    )
    assert list(split(text).blocks) == ["a", "z"]


@given(st.text("<=>| \nab:{}'\"#-", max_size=80))
def test_no_text_makes_it_fail(text):
    split(text)
    split(f"stages:\n{text}")


@given(st.lists(st.text("ab[]=,-_ é/", min_size=1, max_size=6), unique=True))
def test_no_two_stages_share_a_name_and_all_are_names_for_dvc(stages):
    names = ledger_names("p", stages)
    assert len(set(names.values())) == len(stages)
    assert all(set(n) <= set("abcdefp0123456789-_") for n in names.values())


def test_a_variants_name_can_be_read():
    assert ledger_names("dogs", ["quantize[bits=4]"]) == {
        "quantize[bits=4]": "dogs-quantize-bits-4"
    }


def test_a_name_that_is_taken_gets_six_digits():
    assert ledger_names("p", ["a"], {"p-a"})["a"].startswith("p-a-")


def test_a_line_ends_at_a_newline_and_nowhere_else():
    odd = LOCK.replace("cmd: x", "cmd: 'x\x0b\x85\u2028y'")
    assert list(split(odd).blocks) == ["a", "2024", "b-c"]
    assert split(odd).text() == odd
