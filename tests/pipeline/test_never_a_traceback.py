"""Whatever stands in a pipeline file, it resolves or is told what is wrong."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbuild.errors import PipelineError

BASE: dict[str, Any] = {
    "version": 1,
    "name": "dogs",
    "params": {"bits": [4, 6], "photos": "data", "on": True, "deep": {"a": [1]}},
    "datasets": {
        "photos": {"path": "${{ params.photos }}"},
        "code": {"git": "https://x", "rev": "v1", "path": "data"},
        "file": {"url": "https://x", "md5": "a" * 32, "files": ["*"], "extract": True},
        "pack": {"pypi": "a==1"},
    },
    "toolchains": {"ours": {"python": "3.11", "requirements": "./data/a.txt"}},
    "stages": {
        "train": {
            "uses": "make/net",
            "inputs": {"images": "datasets.photos"},
            "with": {"epochs": 2, "layers": [1, 2]},
            "gates": {"accuracy": {"min": 0.5, "first": {"min": 1}}, "on_fail": "stop"},
        },
        "convert": {"uses": "to/coreml", "inputs": {"model": {"from": "train.model"}}},
        "small": {
            "uses": "shrink/weights",
            "matrix": {"bits": "${{ params.bits }}", "include": [{"bits": 8, "r": []}]},
            "inputs": {"model": "convert.model"},
            "with": {"bits": "${{ matrix.bits }}", "rules": [{"layers": "a"}]},
        },
        "best": {
            "uses": "pick/best",
            "inputs": {"models": {"all": ["small.model"]}, "notes": "small[bits=4].metrics"},
            "with": {"by": "x"},
        },
        "say": {
            "run": "echo ${{ inputs.m }} ${{ params.photos }} > ${{ outputs.o }}",
            "inputs": {"m": "small.model"},
            "outputs": {"o": "out/${{ matrix.bits }}"},
            "needs": ["best", "train"],
            "resources": {"cpu": 1},
            "env": {"A": 1},
            "secrets": ["B"],
            "if": "params.on",
        },
    },
    "profiles": {"tiny": {"params": {"bits": [8]}}},
}
WORDS = [
    "", "a", "a.b", "a/b", "./x", "..", "/", "train.model", "small.model", "small[bits=4].model",
    "small[bits=${{ matrix.bits }}].model", "datasets.photos", "release.x", "${{ params.bits }}",
    "${{ params.deep }}", "${{ matrix.bits }}", "x${{ params.photos }}", "${{", "${{ a }}",
    "${{ inputs.m }}", "small", "say.o", "[", "a[b]c.d", "\0", "make/net", "name", "é\n",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.floats(allow_nan=False)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["a", "from", "all", "include", "exclude", "min", "path", "uses", "run", "x y", "bits"]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=5,
)  # fmt: skip


def spots(tree: Any) -> list[tuple[Any, Any]]:
    """Each (holder, key) of the tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in list(inner):
        found.append((tree, key))
        if isinstance(value, (dict, list)):
            found += spots(value)
    return found


@given(data=st.data())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_changed_file_resolves_or_is_told_what_is_wrong(project, data) -> None:
    project.put("data/a.txt")
    tree = copy.deepcopy(BASE)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(spots(tree)))
        change = data.draw(st.sampled_from(["value", "key", "drop"]))
        if change == "value":
            holder[key] = data.draw(VALUES)
        elif isinstance(holder, dict):
            value = holder.pop(key)
            if change == "key":
                holder[data.draw(st.sampled_from(WORDS))] = value
    text = json.dumps(tree)  # JSON is YAML
    profiles = data.draw(st.sampled_from([[], ["tiny"]]))
    sets = data.draw(st.sampled_from([[], ["bits=[4]"], ["deep.a=x"], ["stages.train.run=x"]]))
    try:
        project.resolve(text, profiles=profiles, sets=sets)
    except PipelineError as error:
        assert error.render()
