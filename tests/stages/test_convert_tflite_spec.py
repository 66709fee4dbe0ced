"""What convert/tflite refuses before anything runs."""

from pathlib import Path

import pytest

pydantic = pytest.importorskip("pydantic")
pytest.importorskip("mlbuild.registry")

from mlbuild.registry import Registry  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def params():
    return Registry.load(ROOT, trusted=True).get("convert/tflite").kind.params


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"quantization": "int4"}, "Input should be 'none', 'dynamic', 'float16' or 'int8'"),
        ({"io": "int8"}, "io: int8 is for quantization: int8"),
        ({"labels": ["a", "a"]}, "labels: a label stands twice"),
        ({"shapes": {"x": [0]}}, "shapes: x: each size is at least 1"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_what_does_not_fit_is_told(params, given, complaint):
    with pytest.raises(pydantic.ValidationError) as refused:
        params(**given)

    assert complaint in str(refused.value)
