"""``hf: {repo, rev}`` in a pipeline file."""

from __future__ import annotations

import pytest


def text(source: str) -> str:
    return f"version: 1\nname: p\ndatasets:\n  d: {source}\nstages: {{}}\n"


def test_a_repository_on_the_hub_is_a_dataset(project) -> None:
    found = project.resolve(text('{hf: {repo: org/net, rev: v1, type: dataset}, files: "*.csv"}'))
    data = found.datasets["d"]
    assert (data.scheme, data.location) == ("hf", "org/net")
    assert data.options == {"rev": "v1", "type": "dataset", "files": "*.csv"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "{hf: org/net}",
            "p.yaml:4:11: dataset 'd': 'hf' is a map\n"
            "   4 |   d: {hf: org/net}\n"
            "     |           ^\n"
            "  got: 'org/net'\n"
            "  hint: hf: {repo: ORG/NAME, rev: REVISION}",
        ),
        (
            "{hf: {repo: org/net}}",
            "p.yaml:4:11: dataset 'd': 'hf': 'rev' is missing\n"
            "   4 |   d: {hf: {repo: org/net}}\n"
            "     |           ^",
        ),
        (
            "{hf: {repo: org/net, rev: v1, type: modle}}",
            "p.yaml:4:42: dataset 'd': 'hf': unknown type 'modle'\n"
            "   4 |   d: {hf: {repo: org/net, rev: v1, type: modle}}\n"
            "     |                                          ^\n"
            "  allowed: model, dataset, space\n"
            "  hint: did you mean 'model'?",
        ),
    ],
)
def test_what_is_wrong_with_it_is_told(says, source: str, message: str) -> None:
    says(text(source), message)
