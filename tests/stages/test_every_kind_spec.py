"""What holds for every built-in kind."""

import pytest

from tests.built_in import kind_of, names

pydantic = pytest.importorskip("pydantic")


@pytest.mark.parametrize("name", names())
def test_every_parameter_is_explained_and_the_example_holds(name):
    found = kind_of(name)

    found.params(**found.example)
    for parameter, field in found.params.model_fields.items():
        assert field.description, f"{name}: {parameter}"
    assert found.summary.endswith(".")
    assert found.details
