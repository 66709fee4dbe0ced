import importlib.util
from pathlib import Path

import pytest

pydantic = pytest.importorskip("pydantic")


def kind_of(name: str):
    file = Path(__file__).parents[3] / "stages" / "package" / name / "spec.py"
    spec = importlib.util.spec_from_file_location(f"package_{name}_spec", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KIND


@pytest.mark.parametrize("name", ["mlpackage", "swift"])
def test_every_parameter_is_described_and_reports_are_optional(name):
    kind = kind_of(name)

    assert all(f.description for f in kind.params.model_fields.values())
    assert kind.inputs["reports"].optional
    assert kind.inputs["reports"].many


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("swift", {"name": "my dogs"}),
        ("swift", {"name": "../Dogs"}),
        ("swift", {"type": "dogs"}),
        ("mlpackage", {"name": "../Dogs"}),
        ("mlpackage", {"compression": "brotli"}),
    ],
)
def test_names_that_are_none_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        kind_of(name).params(**wrong)
