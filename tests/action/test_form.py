"""`action.yml` held against the documented form of composite actions, and against our own rules.

Source of the form: https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.action.playing import ACTION, EXPRESSION, STEPS, value_of
from tests.conftest import ROOT

TOP = {"name", "author", "description", "inputs", "outputs", "runs", "branding"}
INPUT = {"description", "required", "default", "deprecationMessage"}
STEP = {"name", "id", "if", "env", "continue-on-error"}
RUN = {*STEP, "run", "shell", "working-directory"}
USES = {*STEP, "uses", "with"}
COLOURS = {"white", "black", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark"}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def problems(action: Mapping[str, Any]) -> Iterator[str]:
    """What of an action's file is not as the documentation has it."""
    yield from (f"unknown key: {key}" for key in action.keys() - TOP)
    yield from (f"missing: {key}" for key in {"name", "description", "runs"} - action.keys())
    for name, entry in action.get("inputs", {}).items():
        if not IDENTIFIER.fullmatch(name):
            yield f"input {name}: no identifier"
        yield from (f"input {name}: unknown key {key}" for key in entry.keys() - INPUT)
        if not isinstance(entry.get("description"), str):
            yield f"input {name}: no description"
        if not isinstance(entry.get("default", ""), str):
            yield f"input {name}: its default is no text"
        if not isinstance(entry.get("required", False), bool):
            yield f"input {name}: required is neither true nor false"
    for name, entry in action.get("outputs", {}).items():
        if entry.keys() != {"description", "value"}:
            yield f"output {name}: of a composite action it has a description and a value"
    if action.get("branding", {}).get("color", "blue") not in COLOURS:
        yield "branding: no such colour"
    if action["runs"].keys() != {"using", "steps"} or action["runs"]["using"] != "composite":
        yield "runs: not composite"
    yield from _step_problems(action["runs"]["steps"])


def _step_problems(steps: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for number, step in enumerate(steps):
        if ("run" in step) == ("uses" in step):
            yield f"step {number}: either run or uses"
        yield from (
            f"step {number}: unknown key {key}"
            for key in step.keys() - (RUN if "run" in step else USES)
        )
        if "run" in step and "shell" not in step:
            yield f"step {number}: a composite action's run needs a shell"
        for kind in ("env", "with"):
            for key, value in step.get(kind, {}).items():
                if not isinstance(value, str):
                    yield f"step {number}: {kind} {key} is no text"
        name = step.get("id")
        if name is not None and (name in seen or not IDENTIFIER.fullmatch(name)):
            yield f"step {number}: its id is taken or none"
        seen.add(name or "")


def test_it_has_the_form_of_a_composite_action() -> None:
    assert list(problems(ACTION)) == []


BROKEN: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda a: a.pop("description"), "missing: description"),
    (lambda a: a["inputs"]["model"].update(type="string"), "input model: unknown key type"),
    (lambda a: a["inputs"]["limit"].update(default=8), "input limit: its default is no text"),
    (
        lambda a: a["outputs"]["ok"].pop("value"),
        "output ok: of a composite action it has a description and a value",
    ),
    (
        lambda a: a["runs"]["steps"][1].pop("shell"),
        "step 1: a composite action's run needs a shell",
    ),
    (lambda a: a["runs"]["steps"][0].update(shell="bash"), "step 0: unknown key shell"),
    (lambda a: a["runs"]["steps"][1].update(id="python"), "step 1: its id is taken or none"),
    (lambda a: a["runs"].update(using="node20"), "runs: not composite"),
]


@pytest.mark.parametrize(("spoil", "told"), BROKEN, ids=[row[1] for row in BROKEN])
def test_the_check_of_the_form_sees_faults(
    spoil: Callable[[dict[str, Any]], object], told: str
) -> None:
    action = json.loads(json.dumps(ACTION))
    spoil(action)
    assert list(problems(action)) == [told]


@pytest.mark.parametrize("step", STEPS, ids=[s["name"] for s in STEPS])
def test_no_expression_reaches_the_shell_as_text(step: dict[str, Any]) -> None:
    assert not EXPRESSION.search(step.get("run", "") + step.get("shell", ""))


@pytest.mark.parametrize("step", [s for s in STEPS if "uses" in s], ids=lambda s: s["name"])
def test_actions_of_others_are_pinned_to_a_commit(step: dict[str, Any]) -> None:
    assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", step["uses"])


def test_every_pin_says_which_version_it_is() -> None:
    lines = (ROOT / "action.yml").read_text("utf-8").splitlines()
    pinned = [line for line in lines if re.match(r"\s+uses: ", line)]
    assert all(re.search(r"@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line) for line in pinned)


def test_every_input_is_used_and_every_expression_names_something_known() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    used = set(re.findall(r"inputs\.([a-z-]+)", text))
    assert used == set(ACTION["inputs"])
    ids = {step["id"] for step in STEPS if "id" in step}
    assert set(re.findall(r"steps\.([a-z-]+)\.", text)) <= ids


def test_the_token_is_seen_by_the_comment_alone() -> None:
    holders = [s["name"] for s in STEPS if "inputs.token" in json.dumps(s)]
    assert holders == ["Write the comment"]


def test_every_script_is_called_and_every_call_has_a_script() -> None:
    called = set(re.findall(r"GITHUB_ACTION_PATH/action/([a-z.]+)", json.dumps(STEPS)))
    assert called == {p.name for p in (ROOT / "action").iterdir() if p.is_file()}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.a", "x"),
        ("inputs.none || inputs.a", "x"),
        ("inputs.a == 'x' && github.n", 7),
        ("inputs.a != 'x'", False),
        ("inputs.a && !github.n", False),
        ("github.event.pull_request.base.sha || github.event.before", ""),
    ],
)
def test_expressions_are_read_as_documented(expression: str, value: Any) -> None:
    assert value_of(expression, {"inputs": {"a": "x"}, "github": {"n": 7, "event": {}}}) == value
