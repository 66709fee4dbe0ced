"""From features to blobs and back: ranks of arrays, pictures, preprocessing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import open_spec  # noqa: E402

pytestmark = pytest.mark.toolchain


def negation(shape, declared=None, exact=False):
    """The layer y = -x between an array of a shape and one that is declared or not."""
    from coremltools.models import datatypes, neural_network

    output = None if declared is None else datatypes.Array(*declared)
    b = neural_network.NeuralNetworkBuilder(
        [("x", datatypes.Array(*shape))], [("y", output)], disable_rank5_shape_mapping=exact
    )
    b.add_activation("negate", "LINEAR", "x", "y", [-1.0, 0.0])
    b.spec.description.input[0].type.multiArrayType.dataType = 65568
    return b.spec


@pytest.mark.parametrize(
    ("shape", "given", "blob"),
    [
        ((3,), (3,), (1, 1, 3, 1, 1)),
        ((3,), (7, 3), (1, 7, 3, 1, 1)),
        ((3,), (5, 7, 3), (5, 7, 3, 1, 1)),
        ((3,), (7, 3, 1, 1), (1, 7, 3, 1, 1)),
        ((3,), (5, 7, 3, 1, 1), (5, 7, 3, 1, 1)),
        ((3, 4, 5), (3, 4, 5), (1, 1, 3, 4, 5)),
        ((3, 4, 5), (7, 3, 4, 5), (1, 7, 3, 4, 5)),
        ((3, 4, 5), (2, 7, 3, 4, 5), (2, 7, 3, 4, 5)),
    ],
)
def test_arrays_of_the_first_versions_become_five_dimensions(ct, shape, given, blob):
    x = np.random.default_rng(0).normal(size=given).astype(np.float32)
    kept = open_spec(negation(shape)).run({"x": x}, keep=["x"]).values["x"]
    np.testing.assert_array_equal(kept, x.reshape(blob))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3), (1, 2, 3, 1), (1, 2, 1, 2, 3)])
def test_exact_arrays_keep_their_rank_inside_and_outside(ct, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    run = open_spec(negation(shape, exact=True)).trace({"x": x})
    assert run.values["y"].shape == shape
    np.testing.assert_array_equal(run.outputs["y"], -x)


@pytest.mark.parametrize(
    ("shape", "given", "declared", "made"),
    [
        ((3,), (3,), (3,), (3,)),
        ((3,), (3,), None, (3, 1, 1)),
        ((3, 4, 5), (3, 4, 5), (3, 4, 5), (3, 4, 5)),
        ((3, 4, 5), (3, 4, 5), None, (3, 4, 5)),
        ((3,), (5, 2, 3), (3,), (5, 2, 3, 1, 1)),  # a sequence does not fit what is declared
        ((3, 4, 5), (2, 3, 4, 5), (3, 4, 5), (1, 2, 3, 4, 5)),
    ],
)
def test_outputs_have_their_declared_rank_where_they_fit(ct, shape, given, declared, made):
    x = np.random.default_rng(0).normal(size=given).astype(np.float32)
    y = open_spec(negation(shape, declared)).predict({"x": x})["y"]
    np.testing.assert_array_equal(y, -x.reshape(made))


def test_two_dimensions_have_no_place_among_five(ct):
    from mlbuild.coreml import ModelFileError

    spec = negation((2, 3), exact=True)
    spec.neuralNetwork.arrayInputShapeMapping = 0
    with pytest.raises(ModelFileError) as error:
        open_spec(spec)
    assert str(error.value) == (
        "input 'x': an array that is mapped to five dimensions has one or three\n"
        "  got: float32[2, 3]\n  allowed: [C], [C, H, W]"
    )


def test_an_output_is_of_its_declared_element_type(ct):
    spec = negation((3,), (3,))
    spec.description.output[0].type.multiArrayType.dataType = 131104
    y = open_spec(spec).predict({"x": np.array([1.0, -2.0, 3.0])})["y"]
    assert y.dtype == np.int32
    assert y.tolist() == [-1, 2, -3]


def test_an_absent_optional_input_is_zero(ct):
    spec = negation((3,), (3,))
    spec.description.input[0].type.isOptional = True
    assert open_spec(spec).predict({})["y"].tolist() == [0, 0, 0]


def picture_model(color, scaler=None, mean=None, rank4=False, output_image=False):
    """A picture of 3 rows and 2 columns that passes a network untouched."""
    from coremltools.models import datatypes, neural_network

    channels = 1 if color == 10 else 3
    b = neural_network.NeuralNetworkBuilder(
        [("picture", datatypes.Array(channels, 3, 2))], [("y", datatypes.Array(channels, 3, 2))]
    )
    b.add_activation("same", "LINEAR", "picture", "y", [1.0, 0.0])
    features = [b.spec.description.input[0]]
    if output_image:
        features.append(b.spec.description.output[0])
    for feature in features:
        feature.type.imageType.width, feature.type.imageType.height = 2, 3
        feature.type.imageType.colorSpace = color
    if scaler is not None:
        step = b.nn_spec.preprocessing.add(featureName="picture").scaler
        for name, value in scaler.items():
            setattr(step, name, value)
    if mean is not None:
        b.nn_spec.preprocessing.add().meanImage.meanImage.extend(mean.ravel())
    if rank4:
        b.nn_spec.imageInputShapeMapping = 1
    return b.spec


PIXELS = np.arange(18, dtype=np.uint8).reshape(3, 2, 3) * 10
BIASES = {"redBias": 1.0, "greenBias": 2.0, "blueBias": 3.0, "grayBias": 4.0}


@pytest.mark.parametrize(
    ("color", "order", "biases"),
    [(20, [0, 1, 2], [1, 2, 3]), (30, [2, 1, 0], [3, 2, 1]), (10, [0], [4])],
    ids=["RGB", "BGR", "gray"],
)
def test_a_scaler_scales_all_and_shifts_each_colour(ct, color, order, biases):
    pixels = PIXELS[:, :, :1] if color == 10 else PIXELS
    spec = picture_model(color, {"channelScale": 0.5, **BIASES})
    y = open_spec(spec).predict({"picture": pixels})["y"]
    planes = pixels.transpose(2, 0, 1)[order].astype(np.float32)
    np.testing.assert_array_equal(y, planes * 0.5 + np.array(biases)[:, None, None])


def test_a_mean_picture_is_subtracted_after_the_scaler_before_it(ct):
    mean = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)
    spec = picture_model(20, {"channelScale": 2.0}, mean)
    y = open_spec(spec).predict({"picture": PIXELS})["y"]
    np.testing.assert_allclose(y, PIXELS.transpose(2, 0, 1) * 2.0 - mean, rtol=1e-6)


def test_a_mean_picture_of_another_size_is_told(ct):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        open_spec(picture_model(20, mean=np.zeros(17)))
    assert str(error.value) == (
        "preprocessing 0 of 'picture': the mean picture has another size than the input\n"
        "  got: 17 values\n  allowed: [3, 3, 2]"
    )


def test_preprocessing_of_something_else_than_a_picture_is_told(ct):
    from mlbuild.coreml import ModelFileError

    spec = negation((3,))
    spec.neuralNetwork.preprocessing.add(featureName="x").scaler.channelScale = 2.0
    with pytest.raises(ModelFileError) as error:
        open_spec(spec)
    assert str(error.value) == "preprocessing 0 of 'x': preprocessing is for an image input"


@pytest.mark.parametrize(("rank4", "shape"), [(False, (1, 1, 3, 3, 2)), (True, (1, 3, 3, 2))])
def test_a_picture_is_a_blob_of_five_or_four_dimensions(ct, rank4, shape):
    model = open_spec(picture_model(20, rank4=rank4))
    assert model.run({"picture": PIXELS}, keep=["picture"]).values["picture"].shape == shape


def test_an_array_that_was_made_a_picture_still_runs_through_its_three_dimensions(ct):
    from coremltools.models import datatypes, neural_network

    b = neural_network.NeuralNetworkBuilder(
        [("picture", datatypes.Array(3, 3, 2))],
        [("y", datatypes.Array(3, 2, 3)), ("same", datatypes.Array(3, 3, 2))],
        disable_rank5_shape_mapping=True,
    )
    b.add_activation("same", "LINEAR", "picture", "same", [1.0, 0.0])
    b.add_transpose("last", (1, 2, 0), "same", "y")
    picture = b.spec.description.input[0].type.imageType
    picture.width, picture.height, picture.colorSpace = 2, 3, 20
    assert b.nn_spec.imageInputShapeMapping == 1
    result = open_spec(b.spec).predict({"picture": PIXELS})
    np.testing.assert_array_equal(result["y"], PIXELS)
    np.testing.assert_array_equal(result["same"], PIXELS.transpose(2, 0, 1))


@pytest.mark.parametrize("color", [20, 30])
def test_a_picture_comes_out_as_it_went_in(ct, color):
    pytest.importorskip("PIL")
    y = open_spec(picture_model(color, output_image=True)).predict({"picture": PIXELS})["y"]
    np.testing.assert_array_equal(np.asarray(y), PIXELS)


def test_a_number_is_a_blob_of_one_element(ct):
    spec = negation((1,), (1,))
    spec.description.input[0].type.doubleType.SetInParent()
    spec.description.output[0].type.doubleType.SetInParent()
    assert open_spec(spec).predict({"x": 2.5})["y"] == -2.5
