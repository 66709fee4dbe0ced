"""Weights of neural networks in every encoding that the format has, against what was encoded."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

VALUES = np.linspace(-2, 3, 24, dtype=np.float32).reshape(4, 6)


def message():
    from coremltools.proto import NeuralNetwork_pb2

    return NeuralNetwork_pb2.WeightParams()


def read(weight, shape=(4, 6), channels=0):
    from mlbuild.coreml.nn.weights import read_weight

    return read_weight(weight, shape, "layer 0 'dense', innerProduct, weights", channels).numpy()


def packed(codes, bits):
    """Codes as a stream of bits, highest first, written out by hand."""
    text = "".join(format(int(code), f"0{bits}b") for code in codes)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


@pytest.mark.parametrize("size", [1, 24, 63, 64, 200, 5000])  # the length takes 1 to 3 bytes
def test_floats_are_read_whatever_their_number(size):
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    weight = message()
    weight.floatValue.extend(values)
    weight.isUpdatable = True
    np.testing.assert_array_equal(read(weight, (size,)), values)


def test_halves_are_widened():
    weight = message()
    weight.float16Value = VALUES.astype(np.float16).tobytes()
    np.testing.assert_array_equal(read(weight), VALUES.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("bits", range(1, 9))
def test_linear_codes_of_every_width_are_scaled_by_row(bits):
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (4, 6))
    scale, bias = np.array([0.5, 1, 2, 4]), np.array([-1, 0, 1, 2])
    weight = message()
    weight.rawValue = packed(codes.ravel(), bits)
    weight.quantization.numberOfBits = bits
    weight.quantization.linearQuantization.scale.extend(scale)
    weight.quantization.linearQuantization.bias.extend(bias)
    np.testing.assert_array_equal(read(weight), codes * scale[:, None] + bias[:, None])


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_of_every_width_are_looked_up(bits):
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (4, 6))
    table = np.random.default_rng(9).normal(size=1 << bits).astype(np.float32)
    weight = message()
    weight.rawValue = packed(codes.ravel(), bits)
    weight.quantization.numberOfBits = bits
    weight.quantization.lookupTableQuantization.floatValue.extend(table)
    np.testing.assert_array_equal(read(weight), table[codes])


def test_the_scaled_axis_of_a_deconvolution_is_the_second():
    codes = np.arange(24).reshape(2, 3, 4)
    weight = message()
    weight.rawValue = codes.astype(np.uint8).tobytes()
    weight.quantization.numberOfBits = 8
    weight.quantization.linearQuantization.scale.extend([1, 10, 100])
    expected = codes * np.array([1, 10, 100])[None, :, None]
    np.testing.assert_array_equal(read(weight, (2, 3, 4), channels=1), expected)


def test_signed_codes_of_dynamic_quantization_have_one_scale():
    codes = np.array([[-128, -1, 0], [1, 2, 127]], np.int8)
    weight = message()
    weight.int8RawValue = codes.tobytes()
    weight.quantization.numberOfBits = 8
    weight.quantization.linearQuantization.scale.append(0.25)
    np.testing.assert_array_equal(read(weight, (2, 3)), codes * 0.25)


@pytest.mark.parametrize(
    ("mode", "bits"), [("linear", 3), ("linear", 8), ("linear_symmetric", 8), ("lut", 4)]
)
def test_what_coremltools_quantizes_is_what_it_dequantizes(ct, bits, mode):
    from coremltools.models.neural_network import quantization_utils

    mode = {
        "linear": "_linear_quantization",
        "linear_symmetric": "_linear_quantization_symmetric",
        "lut": "_lookup_table_quantization_linear",
    }[mode]
    weight = message()
    weight.floatValue.extend(VALUES.ravel())
    quantization_utils._quantize_wp_field(weight, bits, mode, (4, 6))
    found = read(weight)
    quantization_utils._dequantize_wp(weight, (4, 6))
    np.testing.assert_allclose(found, np.reshape(weight.floatValue, (4, 6)), rtol=1e-6, atol=1e-6)
    assert np.abs(found - VALUES).max() < 6 / (1 << bits)


def quantized(data=b"\0" * 24, bits=8, scale=(1.0,), bias=()):
    weight = message()
    weight.rawValue = data
    weight.quantization.numberOfBits = bits
    weight.quantization.linearQuantization.scale.extend(scale)
    weight.quantization.linearQuantization.bias.extend(bias)
    return weight


def broken(**fields):
    weight = message()
    for name, value in fields.items():
        if name == "floatValue":
            weight.floatValue.extend(value)
        else:
            setattr(weight, name, value)
    return weight


def table_of(size):
    weight = message()
    weight.rawValue = b"\0" * 12
    weight.quantization.numberOfBits = 4
    weight.quantization.lookupTableQuantization.floatValue.extend([0.0] * size)
    return weight


def unsaid():
    weight = message()
    weight.rawValue = b"\0" * 24
    weight.quantization.numberOfBits = 8
    return weight


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: broken(floatValue=[1.0, 2.0]),
            "a weight has the wrong size\n  got: 2 values\n  allowed: 24 for the shape [4, 6]",
        ),
        (
            lambda: broken(floatValue=[1.0], float16Value=b"\0\0"),
            "a weight is stored in more than one way\n  got: floatValue, float16Value",
        ),
        (
            lambda: broken(float16Value=b"\0\0\0"),
            "a float16 weight is cut off\n  got: 3 bytes",
        ),
        (
            lambda: quantized(bits=9),
            "a weight is quantized to a number of bits that does not exist\n"
            "  got: 9\n  allowed: 1 to 8",
        ),
        (
            lambda: quantized(data=b"\0" * 23),
            "a quantized weight has the wrong size\n"
            "  got: 23 bytes\n  allowed: 24 for the shape [4, 6] at 8 bits",
        ),
        (
            lambda: quantized(scale=(1.0, 2.0)),
            "a quantized weight has the wrong number of scale values\n  got: 2\n  allowed: 1, 4",
        ),
        (
            lambda: quantized(scale=()),
            "a quantized weight has the wrong number of scale values\n  got: 0\n  allowed: 1, 4",
        ),
        (
            lambda: quantized(bias=(1.0, 2.0, 3.0)),
            "a quantized weight has the wrong number of bias values\n  got: 3\n  allowed: 1, 4",
        ),
        (
            lambda: table_of(15),
            "a look-up table has the wrong size\n  got: 15\n  allowed: 16 for 4 bits",
        ),
        (
            unsaid,
            "a quantized weight says not how\n  got: None\n"
            "  allowed: linearQuantization, lookupTableQuantization (not with int8RawValue)",
        ),
    ],
)
def test_a_malformed_weight_is_told_with_its_place(make, told):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as error:
        read(make())
    assert str(error.value) == f"layer 0 'dense', innerProduct, weights: {told}"


def test_a_written_weight_is_read_back_and_stays_updatable():
    from mlbuild.coreml.nn.weights import write_weight

    weight = quantized()
    weight.isUpdatable = True
    write_weight(weight, torch.from_numpy(VALUES).requires_grad_())
    np.testing.assert_array_equal(read(weight), VALUES)
    assert weight.isUpdatable
    assert not weight.rawValue
