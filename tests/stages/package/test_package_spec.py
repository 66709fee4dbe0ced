import pytest

from tests import built_in

pydantic = pytest.importorskip("pydantic")


def kind_of(name: str):
    return built_in.kind_of(f"package/{name}")


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
