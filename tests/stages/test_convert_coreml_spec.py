import pytest

from tests.built_in import kind_of

pydantic = pytest.importorskip("pydantic")


def params(**given):
    return kind_of("convert/coreml").params(**given)


IMAGE = {"name": "photo", "shape": [1, 3, 8, 8], "kind": "image"}


def test_defaults_are_an_ios17_model_in_float16():
    chosen = params()

    assert (chosen.target, chosen.precision, chosen.input_name) == ("iOS17", "float16", "image")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"target": "iOS12"}, "Input should be 'iOS13'"),
        ({"target": "iOS14"}, "target: iOS14 runs no ML Program; format: neuralnetwork"),
        ({"format": "neuralnetwork"}, "neuralnetwork is for target iOS13 or iOS14, say which"),
        (
            {"format": "neuralnetwork", "target": "iOS13", "float32_ops": ["softmax"]},
            "a NeuralNetwork does not say what is in float32",
        ),
        ({"bitz": 4}, "Extra inputs are not permitted"),
        (
            {"precision": "float32", "float32_ops": ["softmax"]},
            "float32_ops: with precision float32 every operator is in float32",
        ),
        ({"labels": ["a", "a"]}, "labels: a label stands twice"),
        ({"output": "logits", "softmax": "add"}, "softmax: add gives no logits"),
        ({"input_name": "1st"}, "'1st' cannot name a feature"),
        ({"name": "a b"}, "String should match pattern"),
        ({"inputs": [{**IMAGE, "shape": [1, 8]}]}, "an image's shape is"),
        ({"inputs": [{**IMAGE, "bias": [1.0, 2.0]}]}, "RGB has 3 channels, bias has 2 values"),
        ({"inputs": [{**IMAGE, "dtype": "int32"}]}, "an image has no dtype"),
        ({"inputs": [{"name": "x", "scale": 2.0}]}, "scale and bias are for kind: image"),
        ({"inputs": [{"name": "x", "shape": [[4, 1]]}]}, "neither a size nor a range"),
        ({"inputs": [IMAGE, IMAGE]}, "two features are called 'photo'"),
        ({"output": "classifier", "output_names": ["a"]}, "a classifier's outputs are"),
    ],
)
def test_what_does_not_fit_is_found_before_anything_runs(given, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint.replace("[", r"\[")):
        params(**given)


def test_inputs_by_name_keep_their_order_in_a_list():
    chosen = params(inputs={"b": {"shape": [1, "1..512"]}, "a": {"shape": [1, "2..3"]}})

    assert [(i.name, i.shape) for i in chosen.inputs] == [("b", [1, [1, 512]]), ("a", [1, [2, 3]])]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"shape": [1, "512..1"]}, "neither a size nor a range"),
        ({"shape": [1, "few"]}, "'few' is no range"),
        ({"shape": [1, "1.."]}, "'1..' is no range"),
        ({"shape": [1, 2], "shapes": [[1, 2], [1, 3]]}, "either a shape or shapes"),
        ({"shapes": [[1, 2], [1, 2, 3]]}, "the same number of dimensions"),
        ({"shapes": [[1, 0], [1, 2]]}, "each size is at least 1"),
    ],
)
def test_shapes_that_mean_nothing_are_refused(given, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        params(inputs={"x": given})
