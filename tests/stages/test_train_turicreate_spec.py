"""What the spec of train/turicreate refuses before anything runs."""

import pytest

pydantic = pytest.importorskip("pydantic")

from mlbuild.registry import Registry  # noqa: E402 - after what it needs
from mlbuild.report.kinds import describe_kind, parameters  # noqa: E402


@pytest.fixture(scope="module")
def loaded():
    return Registry.load(None, trusted=False).get("train/turicreate")


def test_every_toolkit_tells_its_own_parameters(loaded):
    found = parameters(loaded)
    toolkits = [name for name in found if name.startswith("toolkit[") and name.endswith("]")]
    assert len(toolkits) == 30
    assert all(found[name]["help"] for name in found)
    assert found["toolkit[random-forest-classifier].row_subsample"]["default"] == 0.8
    assert found["toolkit[boosted-trees-classifier].row_subsample"]["default"] == 1.0
    assert "toolkit[decision-tree-classifier].max_iterations" not in found
    assert "toolkit[kmeans].num_clusters" in describe_kind(loaded)


def test_a_toolkit_keeps_the_defaults_of_its_own(loaded):
    given = {"toolkit": {"name": "text-classifier"}, "target": "label"}
    dumped = loaded.kind.params(**given).model_dump()["toolkit"]
    assert dumped == {
        "name": "text-classifier",
        "text": None,
        "drop_stop_words": True,
        "word_count_threshold": 2,
        "max_iterations": 10,
        "l2_penalty": 0.2,
    }


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "toolkit\n  Field required"),
        ({"toolkit": {"name": "forest"}}, "Input tag 'forest' found using 'name' does not match"),
        (
            {"toolkit": {"name": "decision-tree-classifier", "step_size": 1}, "target": "y"},
            "step_size\n  Extra inputs are not permitted",
        ),
        (
            {"toolkit": {"name": "boosted-trees-classifier"}},
            "target: boosted-trees-classifier learns a column, which must be said",
        ),
        (
            {"toolkit": {"name": "regression"}},
            "target: regression learns a column, which must be said",
        ),
        (
            {"toolkit": {"name": "drawing-classifier"}, "target": "label"},
            "target: drawing-classifier takes labels from the names of folders",
        ),
        (
            {"toolkit": {"name": "svm-classifier"}, "target": "y", "include": ["x", "y"]},
            "include: 'y' is the target",
        ),
        (
            {"toolkit": {"name": "kmeans"}, "exclude": ["x"], "types": {"x": "number"}},
            "types: 'x' is excluded",
        ),
        (
            {
                "toolkit": {"name": "linear-regression", "l1_penalty": 1, "solver": "newton"},
                "target": "y",
            },
            "l1_penalty: the solver newton knows l2_penalty alone",
        ),
    ],
)
def test_what_does_not_fit_is_told(loaded, given, complaint):
    with pytest.raises(pydantic.ValidationError) as error:
        loaded.kind.params(**given)
    assert complaint in str(error.value)


def test_recommenders_need_no_rating(loaded):
    loaded.kind.params(toolkit={"name": "popularity-recommender"})
