import pytest

from tests.built_in import kind_of

pydantic = pytest.importorskip("pydantic")


def params_of(folder: str):
    return kind_of(folder).params


ADAPT = "adapt/imagenet_classifier"


@pytest.mark.parametrize(
    "labels", ["imagenet-dogs", "imagenet", ["beagle", 3], {"a": 1, "b": "pug"}]
)
def test_labels_may_be_a_set_a_list_or_a_map(labels):
    assert params_of(ADAPT)(labels=labels).labels == labels


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (["beagle"], "a classifier needs at least two labels, got 1"),
        ([1, 1000], "class 1000 is outside 0 to 999"),
        ([7, 8, 7], "class 7 stands twice"),
        ({"a": 7, "b": 7}, "class 7 stands twice"),
    ],
)
def test_wrong_labels_are_found_before_anything_runs(labels, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        params_of(ADAPT)(labels=labels)
