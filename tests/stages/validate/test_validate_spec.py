import pytest

from tests import built_in

pydantic = pytest.importorskip("pydantic")


def kind_of(name: str):
    return built_in.kind_of(f"validate/{name}")


@pytest.mark.parametrize("name", ["parity", "accuracy"])
def test_the_example_is_valid_and_every_parameter_is_described(name):
    kind = kind_of(name)

    kind.params(**kind.example)
    assert all(f.description for f in kind.params.model_fields.values())
    assert kind.uses_coreml


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("parity", {"topk": 0}),
        ("parity", {"limit": 0}),
        ("parity", {"unreadable": "ignore"}),
        ("accuracy", {"labels": ["elm"]}),
        ("accuracy", {"top_k": 5}),
    ],
)
def test_wrong_values_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        kind_of(name).params(**wrong)
