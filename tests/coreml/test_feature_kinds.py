"""Each kind of feature between users' values and the neutral form, by FeatureTypes.proto."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.toolchain

FLOAT32, FLOAT16, DOUBLE, INT32, INT8 = 65568, 65552, 65600, 131104, 131080


def describe(fill, kind="treeEnsembleRegressor"):
    """The description of a model whose description message ``fill`` completes."""
    from mlbuild.coreml.description import describe
    from mlbuild.coreml.protos import model_proto

    spec = model_proto().Model()
    spec.specificationVersion = 9
    getattr(spec, kind).SetInParent()
    fill(spec.description)
    return describe(spec)


def feature(kind, output=False, **values):
    """One described feature named x; ``values`` set fields of its type's message."""

    def fill(description):
        message = (description.output if output else description.input).add()
        message.name = "x"
        own = getattr(message.type, kind)
        own.SetInParent()
        for name, value in values.items():
            if name == "optional":
                message.type.isOptional = value
            elif isinstance(value, list):
                getattr(own, name).extend(value)
            elif isinstance(value, dict):
                part = getattr(own, name)
                part.SetInParent()
                for inner, number in value.items():
                    setattr(part, inner, number)
            else:
                setattr(own, name, value)

    return fill


def encoded(fill, value, kind="treeEnsembleRegressor"):
    from mlbuild.coreml.features import encode_inputs

    return encode_inputs(describe(fill, kind), {"x": value}).get("x", "absent")


def refusal(fill, value):
    from mlbuild.coreml import InputError

    with pytest.raises(InputError) as error:
        encoded(fill, value)
    return str(error.value)


STRING_KEYS, INT_KEYS = {"stringKeyType": {}}, {"int64KeyType": {}}
STRINGS, INTS = {"stringType": {}}, {"int64Type": {}}


@pytest.mark.parametrize(
    ("kind", "fields", "value", "expected"),
    [
        ("int64Type", {}, 7, 7),
        ("int64Type", {}, np.int32(-3), -3),
        ("int64Type", {}, np.array([2**62]), 2**62),
        ("int64Type", {}, 4.0, 4),  # a table's column of whole numbers is often real
        ("doubleType", {}, 2, 2.0),
        ("doubleType", {}, np.float32(0.5), 0.5),
        ("doubleType", {}, torch.tensor([1.5]), 1.5),
        ("doubleType", {}, float("inf"), float("inf")),
        ("stringType", {}, "dog", "dog"),
        ("stringType", {}, np.str_("dog"), "dog"),
        ("stringType", {}, "größe".encode(), "größe"),
        ("dictionaryType", STRING_KEYS, {"a": 1, "b": np.float32(2)}, {"a": 1.0, "b": 2.0}),
        ("dictionaryType", INT_KEYS, {np.int64(3): 1, 4: 0.5}, {3: 1.0, 4: 0.5}),
        ("dictionaryType", INT_KEYS, {}, {}),
        ("sequenceType", STRINGS, ("a", "b"), ["a", "b"]),
        ("sequenceType", INTS, np.array([1, 2]), [1, 2]),
        ("sequenceType", INTS, [], []),
    ],
)
def test_values_come_in_neutral_form(kind, fields, value, expected):
    result = encoded(feature(kind, **fields), value)
    assert result == expected
    assert type(result) is type(expected)
    if isinstance(expected, dict):
        assert [type(k) for k in result] == [type(k) for k in expected]
        assert all(type(v) is float for v in result.values())


@pytest.mark.parametrize(
    ("kind", "fields", "value", "message"),
    [
        ("int64Type", {}, 1.5, "input 'x': not a whole number\n  got: float 1.5"),
        ("int64Type", {}, float("nan"), "input 'x': not a whole number\n  got: float nan"),
        ("int64Type", {}, 2**63, f"input 'x': a number that int64 cannot hold\n  got: {2**63}"),
        ("int64Type", {}, "7", "input 'x': not a whole number\n  got: str '7'"),
        ("int64Type", {}, np.ones(2),
         "input 'x': not a whole number\n  got: ndarray array([1., 1.])"),
        ("doubleType", {}, "1.0", "input 'x': not a number\n  got: str '1.0'"),
        ("doubleType", {}, {}, "input 'x': not a number\n  got: dict {}"),
        ("stringType", {}, 3, "input 'x': not a string\n  got: int 3"),
        ("dictionaryType", STRING_KEYS, [1],
         "input 'x': not a dictionary\n  got: list [1]\n"
         "  allowed: dictionary of string to double"),
        ("dictionaryType", STRING_KEYS, {1: 1.0}, "input 'x', a key: not a string\n  got: int 1"),
        ("dictionaryType", INT_KEYS, {"a": 1.0},
         "input 'x', a key: not a whole number\n  got: str 'a'"),
        ("dictionaryType", INT_KEYS, {1: "b"}, "input 'x', key 1: not a number\n  got: str 'b'"),
        ("sequenceType", STRINGS, "abc",
         "input 'x': not a sequence\n  got: str 'abc'\n  allowed: sequence of string"),
        ("sequenceType", INTS, [1, "b"],
         "input 'x', element 1: not a whole number\n  got: str 'b'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_an_error(kind, fields, value, message):
    assert refusal(feature(kind, **fields), value) == message


def test_a_sequence_has_the_declared_length():
    def fill(description):
        feature("sequenceType", int64Type={})(description)
        bounds = description.input[0].type.sequenceType.sizeRange
        bounds.lowerBound, bounds.upperBound = 2, 3

    assert encoded(fill, [1, 2]) == [1, 2]
    assert refusal(fill, [1]) == (
        "input 'x': a sequence of the wrong length\n  got: 1 elements\n  allowed: 2..3"
    )


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(FLOAT16, np.float16), (FLOAT32, np.float32), (DOUBLE, np.float64), (INT32, np.int32),
     (INT8, np.int8)],
)  # fmt: skip
def test_arrays_take_the_described_element_type(code, dtype):
    fill = feature("multiArrayType", shape=[3], dataType=code)
    for given in (np.array([1, 2, -3], np.int64), [1.0, 2.0, -3.0], torch.tensor([1, 2, -3])):
        result = encoded(fill, given).numpy()
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, [1, 2, -3])


def test_the_callers_array_is_never_shared():
    mine = np.zeros(3, np.float32)
    result = encoded(feature("multiArrayType", shape=[3], dataType=FLOAT32), mine)
    result += 1
    np.testing.assert_array_equal(mine, 0)


@pytest.mark.parametrize(
    ("code", "value", "got", "allowed"),
    [(INT32, float("nan"), "nan", "-2147483648 to 2147483647"),
     (INT32, 2.0**31, "2147483648.0", "-2147483648 to 2147483647"),
     (INT8, -129, "-129", "-128 to 127")],
)  # fmt: skip
def test_integers_that_do_not_fit_are_an_error(code, value, got, allowed):
    name = {INT32: "int32", INT8: "int8"}[code]
    assert refusal(feature("multiArrayType", shape=[1], dataType=code), [value]) == (
        f"input 'x': a value that {name} cannot hold\n  got: {got}\n  allowed: {allowed}"
    )


def test_float16_overflows_to_infinity_as_numpy_says():
    result = encoded(feature("multiArrayType", shape=[2], dataType=FLOAT16), [65504.0, 1e6])
    np.testing.assert_array_equal(result.numpy(), np.array([65504, np.inf], np.float16))


def test_a_network_of_five_dimensions_takes_sequences_and_batches():
    fill = feature("multiArrayType", shape=[4], dataType=FLOAT32)
    for shape in ((4,), (2, 4), (7, 2, 4), (7, 2, 4, 1, 1)):
        assert encoded(fill, np.zeros(shape), "neuralNetwork").shape == shape
    fill = feature("multiArrayType", shape=[3, 5, 6], dataType=FLOAT32)
    for shape in ((3, 5, 6), (2, 3, 5, 6), (7, 2, 3, 5, 6)):
        assert encoded(fill, np.zeros(shape), "neuralNetwork").shape == shape
    from mlbuild.coreml import InputError

    for shape in ((5, 6), (2, 3, 5, 7), (1, 1, 1, 3, 5, 6)):
        with pytest.raises(InputError, match="an array of the wrong shape"):
            encoded(fill, np.zeros(shape), "neuralNetwork")


def test_a_network_of_exact_shapes_takes_no_others():
    from mlbuild.coreml import InputError
    from mlbuild.coreml.description import describe
    from mlbuild.coreml.features import encode_inputs
    from mlbuild.coreml.protos import model_proto

    spec = model_proto().Model()
    spec.neuralNetwork.arrayInputShapeMapping = 1
    feature("multiArrayType", shape=[4], dataType=FLOAT32)(spec.description)
    with pytest.raises(InputError, match="an array of the wrong shape"):
        encode_inputs(describe(spec), {"x": np.zeros((2, 4))})


def test_an_optional_input_without_default_is_absent():
    for kind in ("doubleType", "dictionaryType", "stringType"):
        assert encoded(feature(kind, optional=True), None) == "absent"
    fill = feature("multiArrayType", shape=[2], dataType=FLOAT32, optional=True)
    assert encoded(fill, None) == "absent"
    # programs and networks have no notion of absence: a recurrent state begins with zeros
    for kind in ("neuralNetwork", "mlProgram"):
        np.testing.assert_array_equal(encoded(fill, None, kind).numpy(), [0, 0])


def test_an_optional_input_takes_its_default():
    fill = feature("multiArrayType", shape=[2], dataType=INT32, optional=True, intDefaultValue=7)
    result = encoded(fill, None, "neuralNetwork").numpy()
    np.testing.assert_array_equal(result, np.array([7, 7], np.int32))


def test_a_default_that_no_machine_can_hold_is_refused(monkeypatch):
    from mlbuild.coreml import ExecutionError, limits

    monkeypatch.setattr(limits, "limit", lambda: 1000)
    fill = feature("multiArrayType", shape=[1000], dataType=FLOAT32, optional=True)
    with pytest.raises(ExecutionError) as error:
        encoded(fill, None, "mlProgram")
    assert str(error.value) == (
        "input 'x': a value of a size that this machine cannot hold\n  got: 8000 bytes\n"
        "  allowed: at most 1000 bytes\n  hint: MLBUILD_COREML_MEMORY=BYTES sets another limit"
    )


def test_the_first_of_the_enumerated_shapes_is_the_default():
    def fill(description):
        message = description.input.add()
        message.name = "x"
        message.type.isOptional = True
        array = message.type.multiArrayType
        array.dataType, array.floatDefaultValue = FLOAT32, 2.0
        array.enumeratedShapes.shapes.add().shape.extend([3])
        array.enumeratedShapes.shapes.add().shape.extend([5])

    np.testing.assert_array_equal(encoded(fill, None).numpy(), [2, 2, 2])
    assert encoded(fill, np.zeros(5)).shape == (5,)
    assert "allowed: [3], [5]" in refusal(fill, np.zeros(4))


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"dataType": 99}, "feature 'x': an array of unknown element type\n  got: data type 99\n"
      "  allowed: float16, float32, float64, int32, int8"),
     ({"shape": [2**20, 2**20], "dataType": FLOAT32},
      "feature 'x': a feature's shape is absurd\n  got: [1048576, 1048576]")],
)  # fmt: skip
def test_arrays_that_cannot_be_are_refused_when_the_model_is_loaded(fields, message):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        describe(feature("multiArrayType", **fields))
    assert str(error.value) == message


def test_a_feature_without_type_is_refused_when_the_model_is_loaded():
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        describe(lambda description: setattr(description.input.add(), "name", "x"))
    assert str(error.value) == "feature 'x': a feature has no type"


def test_outputs_have_the_described_element_type():
    from mlbuild.coreml.features import decode_output

    for code, dtype in ((FLOAT16, np.float16), (DOUBLE, np.float64), (INT32, np.int32)):
        (described,) = describe(feature("multiArrayType", output=True, dataType=code)).outputs
        result = decode_output(described, torch.tensor([1.0, 2.0]))
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, [1, 2])
    scalar = decode_output(described, torch.tensor(3))
    assert scalar.shape == (1,)  # a multi-array has at least one dimension


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("doubleType", torch.tensor([[2.5]]), 2.5), ("doubleType", 3, 3.0),
     ("int64Type", torch.tensor([7.0]), 7), ("stringType", "dog", "dog"),
     ("dictionaryType", {"a": 0.5}, {"a": 0.5}), ("sequenceType", ["a"], ["a"])],
)  # fmt: skip
def test_outputs_of_other_kinds_are_plain_values(kind, value, expected):
    from mlbuild.coreml.features import decode_output

    (described,) = describe(feature(kind, output=True)).outputs
    result = decode_output(described, value)
    assert result == expected
    assert type(result) is type(expected)


def image(color, width=3, height=2, **fields):
    return feature("imageType", width=width, height=height, colorSpace=color, **fields)


GRAY, RGB, BGR, GRAY16 = 10, 20, 30, 40


def test_pixels_of_float16_pictures_are_rounded_to_float16():
    pixels = np.array([[0.1, -2.0, 1e6], [1.0001, 0.5, 300.0]], np.float32)
    with np.errstate(over="ignore"):
        expected = pixels.astype(np.float16).astype(np.float32)
    for given in (pixels, Image.fromarray(pixels)):
        np.testing.assert_array_equal(encoded(image(GRAY16), given)[0, 0].numpy(), expected)


def test_the_fourth_channel_of_an_array_is_ignored():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4)).astype(np.uint8)
    result = encoded(image(RGB), pixels).numpy()[0]
    np.testing.assert_array_equal(result, pixels[:, :, :3].transpose(2, 0, 1))


def test_sixteen_bits_are_scaled_to_eight():
    wide = np.array([[0, 65535, 257], [257 * 7, 128, 129]], np.uint16)
    result = encoded(image(GRAY), Image.fromarray(wide)).numpy()[0, 0]
    np.testing.assert_array_equal(result, [[0, 255, 1], [7, 0, 1]])


def test_pixels_beyond_eight_bits_are_an_error():
    for value, got in ((256, "0.0 to 256.0"), (-1, "-1.0 to 0.0"), (np.nan, "nan to nan")):
        pixels = np.zeros((2, 3, 3))
        pixels[0, 0, 0] = value
        assert refusal(image(RGB), pixels) == (
            f"input 'x': pixels that eight bits cannot hold\n  got: {got}\n  allowed: 0 to 255"
        )


def test_an_array_of_words_is_no_picture():
    assert refusal(image(GRAY), np.full((2, 3), "a")) == (
        "input 'x': not a picture of this kind\n  got: an array of shape [2, 3, 1] and type <U1\n"
        "  allowed: a path, a PIL picture, an array [height, width, 1]"
    )


def test_pictures_of_flexible_size():
    def enumerated(description):
        image(RGB)(description)
        size = description.input[0].type.imageType.enumeratedSizes.sizes.add()
        size.width, size.height = 5, 4

    def ranged(description):
        image(RGB)(description)
        sizes = description.input[0].type.imageType.imageSizeRange
        sizes.widthRange.lowerBound, sizes.widthRange.upperBound = 2, -1
        sizes.heightRange.lowerBound, sizes.heightRange.upperBound = 2, 4

    for fill in (enumerated, ranged):
        for size in ((3, 2), (5, 4)):
            assert encoded(fill, Image.new("RGB", size)).shape == (1, 3, size[1], size[0])
    assert "got: 4 x 4\n  allowed: 3 x 2, 5 x 4\n" in refusal(enumerated, Image.new("RGB", (4, 4)))
    assert "got: 5 x 5\n  allowed: 2.. x 2..4\n" in refusal(ranged, Image.new("RGB", (5, 5)))


def test_a_picture_of_unknown_colours_is_refused_when_the_model_is_loaded():
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        describe(image(0))
    assert str(error.value) == (
        "feature 'x': an image of unknown colours\n  got: colour space 0\n"
        "  allowed: GRAYSCALE, RGB, BGR, GRAYSCALE_FLOAT16"
    )


@pytest.mark.parametrize("shape", [(1, 3, 2, 3), (3, 2, 3), (1, 1, 3, 2, 3)])
def test_colour_outputs_are_pictures_whatever_their_leading_ones(shape):
    from mlbuild.coreml.features import decode_output

    planes = np.random.default_rng(1).integers(0, 256, (3, 2, 3)).astype(np.float32)
    for color, order in ((RGB, [0, 1, 2]), (BGR, [2, 1, 0])):
        (described,) = describe(image(color, output=True)).outputs
        picture = decode_output(described, torch.from_numpy(planes.reshape(shape)))
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), planes[order].transpose(1, 2, 0))


def test_gray_outputs_are_rounded_cut_or_kept_in_float16():
    from mlbuild.coreml.features import decode_output

    values = torch.tensor([[0.4, 0.6, 300.0], [-5.0, float("nan"), 0.1]])
    (eight,) = describe(image(GRAY, output=True)).outputs
    np.testing.assert_array_equal(
        np.asarray(decode_output(eight, values)), [[0, 1, 255], [0, 0, 0]]
    )
    (half,) = describe(image(GRAY16, output=True)).outputs
    picture = decode_output(half, values)
    assert picture.mode == "F"
    expected = values.numpy().astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(picture), expected)


def test_an_output_that_is_no_picture_is_an_error():
    from mlbuild.coreml import ExecutionError
    from mlbuild.coreml.features import decode_output

    (described,) = describe(image(RGB, output=True)).outputs
    with pytest.raises(ExecutionError) as error:
        decode_output(described, torch.zeros(2, 3, 4, 4))
    assert str(error.value) == (
        "the model made no picture where it describes one\n"
        "  got: an array of shape [2, 3, 4, 4]\n  allowed: [1, 3, height, width]"
    )
