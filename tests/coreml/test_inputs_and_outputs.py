"""What goes in and what comes out, as Core ML has it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.toolchain


class Channels(torch.nn.Module):
    """The mean of each channel."""

    def forward(self, x):
        return x.mean((2, 3))


class Scores(torch.nn.Module):
    """Three scores out of the channels."""

    def forward(self, x):
        return torch.softmax(x.mean((2, 3)) / 10, 1)


def picture(red, green, blue, size=(4, 6)):
    return Image.new("RGB", size, (red, green, blue))


def image_model(ct, save_torch, module=None, color="RGB", **options):
    channels = 1 if color.startswith("GRAY") else 3
    shape = (1, channels, 6, 4)
    layout = getattr(ct.colorlayout, color)
    return save_torch(
        module or Channels(),
        torch.rand(shape),
        inputs=[ct.ImageType(name="image", shape=shape, color_layout=layout)],
        precision="float32",
        **options,
    )


@pytest.mark.parametrize(("color", "expected"), [("RGB", [10, 20, 30]), ("BGR", [30, 20, 10])])
def test_channels_come_in_the_declared_order(ct, save_torch, color, expected):
    from mlbuild.coreml import load

    (means,) = load(image_model(ct, save_torch, color=color)).predict(
        {"image": picture(10, 20, 30)}
    ).values()  # fmt: skip
    np.testing.assert_allclose(means, [expected])


def test_a_grayscale_input_takes_colour_pictures(ct, save_torch):
    from mlbuild.coreml import load

    model = load(image_model(ct, save_torch, color="GRAYSCALE"))
    (mean,) = model.predict({"image": picture(0, 255, 0)}).values()
    np.testing.assert_allclose(mean, [[150]])  # ITU-R 601, as Pillow converts


def test_pictures_may_be_given_as_path_picture_or_array(ct, save_torch, tmp_path):
    from mlbuild.coreml import load

    model = load(image_model(ct, save_torch))
    picture(10, 20, 30).save(tmp_path / "p.png")
    array = np.full((6, 4, 3), (10, 20, 30), np.uint8)
    results = [
        next(iter(model.predict({"image": given}).values()))
        for given in (tmp_path / "p.png", str(tmp_path / "p.png"), picture(10, 20, 30), array)
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert len(model.predict_many([{"image": array}] * 2)) == 2


def test_a_picture_of_the_wrong_size_is_an_error_that_says_what_to_do(ct, save_torch):
    from mlbuild.coreml import InputError, load

    model = load(image_model(ct, save_torch))
    with pytest.raises(InputError) as error:
        model.predict({"image": picture(1, 2, 3, (5, 5))})
    assert str(error.value) == (
        "input 'image': a picture of the wrong size\n  got: 5 x 5\n  allowed: 4 x 6\n"
        "  hint: Core ML does not scale: use mlbuild.coreml.images.load_image(path, size)"
    )


def test_an_array_that_is_no_picture_is_an_error(ct, save_torch):
    from mlbuild.coreml import InputError, load

    model = load(image_model(ct, save_torch))
    with pytest.raises(InputError) as error:
        model.predict({"image": np.zeros((1, 3, 6, 4))})
    assert str(error.value) == (
        "input 'image': not a picture of this kind\n  got: an array of shape [1, 3, 6, 4]\n"
        "  allowed: a path, a PIL picture, an array [height, width, 3]"
    )


def test_a_file_that_is_no_picture_is_an_error(ct, save_torch, tmp_path):
    from mlbuild.coreml import InputError, load

    (tmp_path / "p.jpg").write_bytes(b"no picture")
    model = load(image_model(ct, save_torch))
    with pytest.raises(InputError) as error:
        model.predict({"image": tmp_path / "p.jpg"})
    assert str(error.value).startswith(f"{tmp_path / 'p.jpg'}: not a readable picture: ")


@pytest.mark.parametrize(
    ("scaling", "corner", "middle"),
    [("scaleFill", (255, 0, 0), (255, 0, 0)), ("centerCrop", (255, 0, 0), (255, 0, 0)),
     ("scaleFit", (0, 0, 0), (255, 0, 0))],
)  # fmt: skip
def test_load_image_scales_by_three_rules(tmp_path, scaling, corner, middle):
    from mlbuild.coreml.images import load_image

    picture(255, 0, 0, (40, 10)).save(tmp_path / "wide.png")
    loaded = load_image(tmp_path / "wide.png", (20, 20), scaling)
    assert loaded.size == (20, 20)
    assert loaded.getpixel((0, 0)) == corner
    assert loaded.getpixel((10, 10)) == middle


def test_center_crop_keeps_the_middle_and_the_aspect_ratio(tmp_path):
    from mlbuild.coreml.images import load_image

    wide = Image.new("RGB", (30, 10))
    wide.paste((255, 255, 255), (10, 0, 20, 10))
    wide.save(tmp_path / "wide.png")
    assert np.asarray(load_image(tmp_path / "wide.png", (10, 10), "centerCrop")).min() == 255
    squeezed = np.asarray(load_image(tmp_path / "wide.png", (10, 10), "scaleFill"))
    assert squeezed[5, 0].max() == 0
    assert squeezed[5, 5].min() == 255


def test_load_image_refuses_an_unknown_rule(tmp_path):
    from mlbuild.coreml import InputError
    from mlbuild.coreml.images import load_image

    with pytest.raises(InputError) as error:
        load_image(tmp_path / "p.png", (1, 1), "squash")
    assert str(error.value) == (
        "unknown way to scale\n  got: squash\n  allowed: scaleFill, scaleFit, centerCrop"
    )


def test_exif_orientation_is_honoured(tmp_path):
    from mlbuild.coreml.images import load_image

    turned = Image.new("RGB", (8, 4))
    turned.paste((255, 255, 255), (0, 0, 4, 4))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    turned.save(tmp_path / "p.png", exif=exif)
    upright = load_image(tmp_path / "p.png")
    assert upright.size == (4, 8)
    assert upright.getpixel((1, 1)) == (255, 255, 255)
    assert upright.getpixel((1, 6)) == (0, 0, 0)


def test_transparency_is_laid_over_black(tmp_path):
    from mlbuild.coreml.images import load_image

    Image.new("RGBA", (2, 2), (200, 100, 50, 0)).save(tmp_path / "p.png")
    assert load_image(tmp_path / "p.png").getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("labels", [["cat", "dog", "owl"], [7, 8, 9]])
def test_a_classifier_gives_its_label_and_all_scores(ct, save_torch, labels):
    from mlbuild.coreml import load, top_labels

    path = image_model(ct, save_torch, Scores(), classifier_config=ct.ClassifierConfig(labels))
    model = load(path)
    outputs = model.predict({"image": picture(10, 30, 20)})
    described = model.description
    assert described.class_labels == tuple(labels)
    assert outputs[described.predicted_feature] == labels[1]
    scores = outputs[described.predicted_probabilities]
    assert list(scores) == labels
    expected = torch.softmax(torch.tensor([1.0, 3.0, 2.0]), 0)
    np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-5)
    assert [label for label, _ in top_labels(model, outputs, 2)] == [labels[1], labels[2]]
    assert model.scores_value in {n for use in model.operators() for n, _ in use.outputs}


def test_top_labels_of_a_model_that_is_no_classifier_are_an_error(ct, save_torch):
    from mlbuild.coreml import InputError, load, top_labels

    model = load(image_model(ct, save_torch))
    outputs = model.predict({"image": picture(1, 2, 3)})
    with pytest.raises(InputError, match="the model is no classifier with scores"):
        top_labels(model, outputs)


def test_an_image_output_is_a_picture(ct, save_torch):
    from mlbuild.coreml import load

    class Brighter(torch.nn.Module):
        def forward(self, x):
            return x * 2

    path = image_model(
        ct, save_torch, Brighter(),
        outputs=[ct.ImageType(name="brighter", color_layout=ct.colorlayout.BGR)],
    )  # fmt: skip
    out = load(path).predict({"image": picture(10, 20, 200)})["brighter"]
    assert out.size == (4, 6)
    # the output is declared blue first, and 400 is cut to 255
    assert out.getpixel((0, 0)) == (255, 40, 20)


def array_model(ct, save_torch, **options):
    return save_torch(Channels(), torch.rand(1, 2, 6, 4), precision="float32", **options)


def test_arrays_are_converted_to_the_declared_type(ct, save_torch):
    from mlbuild.coreml import load

    model = load(array_model(ct, save_torch))
    for given in (
        np.ones((1, 2, 6, 4), np.int64), np.ones((1, 2, 6, 4)).tolist(), torch.ones(1, 2, 6, 4),
    ):  # fmt: skip
        (result,) = model.predict({"x": given}).values()
        np.testing.assert_array_equal(result, [[1.0, 1.0]])


def test_an_array_of_the_wrong_shape_is_an_error(ct, save_torch):
    from mlbuild.coreml import InputError, load

    with pytest.raises(InputError) as error:
        load(array_model(ct, save_torch)).predict({"x": np.zeros((2, 6, 4))})
    assert str(error.value) == (
        "input 'x': an array of the wrong shape\n  got: [2, 6, 4]\n  allowed: [1, 2, 6, 4]"
    )


def test_an_array_of_words_is_an_error(ct, save_torch):
    from mlbuild.coreml import InputError, load

    with pytest.raises(InputError) as error:
        load(array_model(ct, save_torch)).predict({"x": ["a"]})
    assert str(error.value) == ("input 'x': not an array of numbers\n  got: elements of type <U1")


def test_missing_and_unknown_inputs_are_errors(ct, save_torch):
    from mlbuild.coreml import InputError, load

    model = load(array_model(ct, save_torch))
    with pytest.raises(InputError) as error:
        model.predict({})
    assert str(error.value) == "an input is missing: x\n  allowed: float32[1, 2, 6, 4]"
    with pytest.raises(InputError) as error:
        model.predict({"y": 1})
    assert str(error.value) == "the model has no such input: y\n  allowed: x"


def test_enumerated_shapes_are_the_only_ones_allowed(ct, save_torch):
    from mlbuild.coreml import InputError, load

    shapes = ct.EnumeratedShapes(shapes=[[1, 2, 6, 4], [1, 2, 8, 8]], default=[1, 2, 6, 4])
    model = load(array_model(ct, save_torch, inputs=[ct.TensorType(name="x", shape=shapes)]))
    for shape in ((1, 2, 6, 4), (1, 2, 8, 8)):
        (result,) = model.predict({"x": np.ones(shape)}).values()
        np.testing.assert_allclose(result, [[1.0, 1.0]])
    with pytest.raises(InputError) as error:
        model.predict({"x": np.ones((1, 2, 7, 7))})
    assert str(error.value) == (
        "input 'x': an array of the wrong shape\n  got: [1, 2, 7, 7]\n"
        "  allowed: [1, 2, 6, 4], [1, 2, 8, 8]"
    )


def test_ranges_bound_each_dimension(ct, save_torch):
    from mlbuild.coreml import InputError, load

    shape = ct.Shape([1, 2, ct.RangeDim(2, 9, default=6), ct.RangeDim(2, 30, default=4)])
    model = load(array_model(ct, save_torch, inputs=[ct.TensorType(name="x", shape=shape)]))
    (result,) = model.predict({"x": np.ones((1, 2, 9, 30))}).values()
    np.testing.assert_allclose(result, [[1.0, 1.0]], rtol=1e-6)
    with pytest.raises(InputError) as error:
        model.predict({"x": np.ones((1, 2, 10, 4))})
    assert str(error.value) == (
        "input 'x': an array of the wrong shape\n  got: [1, 2, 10, 4]\n"
        "  allowed: [1..1, 2..2, 2..9, 2..30]"
    )


def test_an_optional_input_has_its_default(ct, save_torch):
    from mlbuild.coreml import load

    default = np.full((1, 2, 6, 4), 3.0, np.float32)
    given = [ct.TensorType(name="x", shape=(1, 2, 6, 4), default_value=default)]
    (result,) = load(array_model(ct, save_torch, inputs=given)).predict({}).values()
    np.testing.assert_array_equal(result, [[3.0, 3.0]])


def test_values_between_are_handed_out_by_name(ct, save_torch):
    from mlbuild.coreml import InputError, load

    model = load(array_model(ct, save_torch))
    name = model.operators()[-1].outputs[0][0]
    run = model.run({"x": np.ones((1, 2, 6, 4))}, keep=[name, "x"])
    np.testing.assert_array_equal(run.values[name], [[1.0, 1.0]])
    assert run.values["x"].shape == (1, 2, 6, 4)
    with pytest.raises(InputError) as error:
        model.run({"x": np.ones((1, 2, 6, 4))}, keep=["nothing"])
    assert str(error.value) == "the program makes no such value: nothing"


def test_an_unknown_precision_is_an_error(tmp_path):
    from mlbuild.coreml import InputError, load

    with pytest.raises(InputError) as error:
        load(tmp_path, precision="half")
    assert str(error.value) == "unknown precision\n  got: half\n  allowed: declared, float32"
