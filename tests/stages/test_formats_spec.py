"""What the kinds of formats refuse before anything runs."""

import pytest

pydantic = pytest.importorskip("pydantic")

from mlbuild.registry import Registry  # noqa: E402 - after what it needs

KINDS = (
    "convert/onnx",
    "convert/torchscript",
    "convert/executorch",
    "convert/core-ai",
    "validate/formats",
)


@pytest.fixture(scope="module")
def kinds():
    registry = Registry.load(None, trusted=False)
    return {name: registry.get(name).kind for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_is_explained_and_the_example_holds(kinds, name):
    found = kinds[name]
    found.params(**found.example)
    for parameter, field in found.params.model_fields.items():
        assert field.description, parameter
    assert found.summary.endswith(".")


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("convert/onnx", {"opset": 12}, "greater than or equal to 18"),
        ("convert/onnx", {"dynamic": {"x": {"-1": "N"}}}, "an axis counts from 0"),
        ("convert/onnx", {"dynamic": {"x": {"0": "1st"}}}, "has a name such as N"),
        ("convert/onnx", {"input_name": "a b"}, "'a b' is no name"),
        ("convert/torchscript", {"inputs": {"x": {"shape": [0]}}}, "each size is at least 1"),
        (
            "convert/torchscript",
            {"inputs": {"x": {"shape": [1]}}, "output_names": ["x"]},
            "two inputs or outputs are called 'x'",
        ),
        (
            "convert/torchscript",
            {"inputs": {"x": {"shape": [1]}}, "input_name": "y"},
            "inputs names them already",
        ),
        ("convert/core-ai", {"labels": ["a", "a"]}, "a label stands twice"),
        (
            "convert/executorch",
            {"quantize": "int8", "backend": "portable"},
            "quantize: int8 is for backend: xnnpack",
        ),
        ("validate/formats", {"names": ["a", "a"]}, "two models have one name"),
        ("validate/formats", {"names": ["a.b"]}, "letters, digits, '-' and '_'"),
    ],
)
def test_what_does_not_go_together_is_refused(kinds, name, given, complaint):
    with pytest.raises(pydantic.ValidationError) as refused:
        kinds[name].params(**given)
    assert complaint in str(refused.value)


def test_inputs_keep_the_order_in_which_a_program_takes_them(kinds):
    given = {"b": {"shape": [2]}, "a": {"shape": [1], "dtype": "int64"}}
    params = kinds["convert/onnx"].params(inputs=given)
    assert [i.name for i in params.inputs] == ["b", "a"]
