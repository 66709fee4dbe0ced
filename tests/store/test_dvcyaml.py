import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.errors import LedgerError
from mlbuild.store.dvcyaml import command, splice

FILE = "pipelines/p.yaml"


def ours(name: str, extra: str = "x") -> dict:
    return {
        "cmd": command(FILE, name),
        "params": [{"pipelines/p-lock.json": [f"stages.{name}"]}],
        "outs": [extra],
        "meta": {"mlbuild": 1},
    }


def text_of(name: str, extra: str = "x") -> str:
    return splice("", FILE, {name: ours(name, extra)}).text.removeprefix("stages:\n")


USER = """\
# at the top
vars:
  - a: 1   # a comment

stages:
  # about mine
  mine:
    cmd: >-
      python a.py
      --flag

    outs: [a,   b]   # flow

  # about the other
  other:
    cmd: |
      echo é😀
      echo b

# between
metrics:
- m.json
"""


def test_a_users_text_is_kept_byte_for_byte():
    one = splice(USER, FILE, {"p-a": ours("p-a")})
    assert one.text == USER.replace("echo b\n", "echo b\n" + text_of("p-a"))
    two = splice(one.text, FILE, {"p-b": ours("p-b")})
    three = splice(two.text, FILE, {})
    assert (three.text, three.dropped, three.dropped_outs) == (USER, ("p-b",), ("x",))


def test_comments_behind_our_stages_are_kept():
    text = (
        f"stages:\n{text_of('p-a')}  # about mine\n  mine:\n    cmd: x\n{text_of('p-b')}# the end\n"
    )
    wanted = {"p-a": ours("p-a", "new"), "p-c": ours("p-c")}
    assert splice(text, FILE, wanted).text == (
        f"stages:\n{text_of('p-a', 'new')}  # about mine\n  mine:\n    cmd: x\n"
        f"{text_of('p-c')}# the end\n"
    )


@pytest.mark.parametrize(
    "text",
    ["", "# only a comment\n", "stages: {}\n", "stages:\n", "vars: [a]\nstages:   {} # none\n"],
)
def test_the_first_stage_finds_its_place(text):
    found = splice(text, FILE, {"p-a": ours("p-a")}).text
    assert yaml.safe_load(found)["stages"] == {"p-a": ours("p-a")}
    assert splice(found, FILE, {"p-a": ours("p-a")}).text == found


def test_a_file_without_a_newline_at_its_end():
    found = splice("stages:\n  mine:\n    cmd: x", FILE, {"p-a": ours("p-a")}).text
    assert list(yaml.safe_load(found)["stages"]) == ["mine", "p-a"]


def test_a_users_indentation_is_followed():
    found = splice("stages:\n    mine:\n        cmd: x\n", FILE, {"p-a": ours("p-a")}).text
    assert found.startswith("stages:\n    mine:\n        cmd: x\n    p-a:\n      cmd: mlbuild run ")
    assert yaml.safe_load(found)["stages"]["p-a"] == ours("p-a")


def test_stages_of_other_pipelines_are_left_alone():
    other = text_of("q-a").replace(FILE, "pipelines/q.yaml")
    found = splice(f"stages:\n{other}", FILE, {})
    assert (found.text, found.dropped) == (f"stages:\n{other}", ())


def test_a_hand_written_stage_that_runs_mlbuild_is_left_alone():
    text = f"stages:\n  mine:\n    cmd: {command(FILE, 'a')}\n"
    assert splice(text, FILE, {}).text == text


def test_nothing_is_left_of_a_file_that_was_ours_alone():
    assert splice(f"stages:\n{text_of('p-a')}", FILE, {}).text is None


def test_the_last_stage_of_ours_leaves_the_rest():
    assert splice(f"vars: [a]\nstages:\n{text_of('p-a')}", FILE, {}).text == "vars: [a]\n"


names = st.from_regex(r"p-[a-z0-9]{1,6}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(names, unique=True, max_size=5), min_size=1, max_size=4),
    st.sampled_from(["", USER, "stages:\n    mine:\n      cmd: x\n# end", "stages: {}\n"]),
)
def test_whatever_came_and_went_the_file_holds_the_users_and_ours(steps, text):
    before = (yaml.safe_load(text) or {}) if text else {}
    users = before.get("stages") or {}
    for wanted in steps:
        text = splice(text or "", FILE, {n: ours(n) for n in wanted}).text or ""
        found = (yaml.safe_load(text) or {}) if text else {}
        assert (found.get("stages") or {}) == {**users, **{n: ours(n) for n in wanted}}
        assert {k: v for k, v in found.items() if k != "stages"} == {
            k: v for k, v in before.items() if k != "stages"
        }
        assert text.count("#") >= (USER.count("#") if "mine:\n    cmd: >-" in text else 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "dvc.yaml is not a mapping"),
        (
            "stages: {mine: {cmd: x}}\n",
            "dvc.yaml: 'stages' is written in braces, so mlbuild cannot add its own to it",
        ),
        (
            "stages: [a]\n",
            "dvc.yaml: 'stages' is written in braces, so mlbuild cannot add its own to it",
        ),
    ],
)
def test_a_file_that_cannot_be_added_to_is_an_error(text, message):
    with pytest.raises(LedgerError) as caught:
        splice(text, FILE, {"p-a": ours("p-a")})
    assert str(caught.value) == message
    assert caught.value.problems[0].hint


def test_a_file_that_is_no_yaml_is_an_error():
    with pytest.raises(LedgerError, match=r"^dvc\.yaml cannot be read: "):
        splice("a: [\n", FILE, {})


@pytest.mark.parametrize(
    "half",
    [
        "  p-a:\n",
        "  p-a:\n    deps: [x]\n",
        "  p-a:\n    cmd: mlbuild run pipe\n",
        "  p-a:\n    cmd: mlbuild run pipelines/p.yaml a --on\n",
    ],
)
def test_a_stage_that_ends_in_the_middle_is_no_users_stage(half):
    with pytest.raises(LedgerError) as caught:
        splice(f"stages:\n  mine:\n    cmd: echo\n{half}", FILE, {"p-a": ours("p-a")})
    assert caught.value.render() == (
        "dvc.yaml:4: stage 'p-a' ends in the middle: the file was cut off\n"
        "  hint: put the committed one back (git checkout -- dvc.yaml); mlbuild writes its own "
        "stages anew"
    )


def test_an_output_that_another_pipeline_took_over_is_not_dropped():
    both = splice("", FILE, {"p-a": ours("p-a"), "p-b": ours("p-b", "y")}).text
    other = {**ours("q-a", "y"), "cmd": command("pipelines/q.yaml", "a")}
    three = splice(both, "pipelines/q.yaml", {"q-a": other}).text
    assert splice(three, FILE, {"p-a": ours("p-a", "z")}).dropped_outs == ("x",)
