import pytest

from tests import built_in

pydantic = pytest.importorskip("pydantic")

KINDS = ("linear", "palettize", "prune")


def kind_of(name: str):
    return built_in.kind_of(f"quantize/{name}")


@pytest.mark.parametrize("name", KINDS)
def test_the_example_is_valid_and_every_parameter_is_described(name):
    kind = kind_of(name)

    kind.params(**kind.example)
    assert all(f.description for f in kind.params.model_fields.values())


@pytest.mark.parametrize("name", KINDS)
def test_unknown_parameters_are_refused_at_every_depth(name):
    params = kind_of(name).params
    for wrong in (
        {"bitz": 4},
        {"overrides": [{"match": {"nane": "x"}, "skip": True}]},
        {"overrides": [{"match": {"op": "conv"}, "set": {"bitz": 4}}]},
        {"overrides": [{"skip": True}]},
    ):
        with pytest.raises(pydantic.ValidationError):
            params(**wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("linear", {"dtype": "int5"}),
        ("linear", {"mode": "kmeans"}),
        ("palettize", {"bits": 5}),
        ("palettize", {"group_size": 0}),
        ("prune", {"sparsity": 1.5}),
        ("prune", {"block_size": 1}),
    ],
)
def test_values_out_of_range_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        kind_of(name).params(**wrong)


@pytest.mark.parametrize("name", KINDS)
def test_what_an_override_may_set_is_an_option_of_the_kind(name):
    params = kind_of(name).params
    override = params.model_fields["overrides"].annotation.__args__[0]
    settable = override.model_fields["set"].annotation.__args__[0].model_fields

    assert set(settable) < set(params.model_fields)
