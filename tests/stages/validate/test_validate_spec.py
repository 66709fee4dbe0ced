import importlib.util
from pathlib import Path

import pytest

pydantic = pytest.importorskip("pydantic")


def kind_of(name: str):
    file = Path(__file__).parents[3] / "stages" / "validate" / name / "spec.py"
    spec = importlib.util.spec_from_file_location(f"validate_{name}_spec", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KIND


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
