"""Constants of every element type, as coremltools writes them into programs and weight files."""

import mmap

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

# element type, values that tell it from its neighbours
IMMEDIATE = [
    ("bool", [True, False, True]),
    ("float16", [65504.0, -6e-8, 0.5]),
    ("float32", [1e-45, -3.4e38, 16777217.0]),
    ("int8", [-128, 127, 0]),
    ("uint8", [0, 255, 7]),
    ("int16", [-32768, 32767, 1]),
    ("uint16", [0, 65535, 32768]),
    ("int32", [-(2**31), 2**31 - 1, 5]),
    ("uint32", [0, 2**32 - 1, 2**31]),
]
NARROW = {"int4": (-8, 7), "uint1": (0, 1), "uint2": (0, 3), "uint3": (0, 7), "uint4": (0, 15),
          "uint6": (0, 63)}  # fmt: skip


def read(message):
    from mlbuild.coreml.mil.reader import read_constant
    from mlbuild.coreml.mil.values import immediate

    return immediate(read_constant(message, "here"), "here")


@pytest.mark.parametrize("name, values", IMMEDIATE, ids=[name for name, _ in IMMEDIATE])
def test_a_constant_in_the_program_is_read_as_it_was_written(name, values):
    from coremltools.converters.mil.backend.mil.helper import create_tensor_value

    written = np.array(values, name).reshape(3, 1)
    got = read(create_tensor_value(written))
    assert got.dtype == written.dtype
    np.testing.assert_array_equal(got, written)
    empty = read(create_tensor_value(np.zeros((2, 0), name)))
    assert (empty.shape, empty.dtype) == ((2, 0), written.dtype)


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_constant_in_the_program_is_unpacked(name):
    """Fields lie from the lowest bit on, as in weight files; the type is written by hand."""
    from coremltools.converters.mil.backend.mil.helper import create_valuetype_tensor
    from coremltools.proto import MIL_pb2

    low, high = NARROW[name]
    written = np.array([low, high, 0, 1, high, low, 1], np.int64)
    bits = int(name.removeprefix("uint").removeprefix("int"))
    packed = sum(int(v % 2**bits) << (bits * i) for i, v in enumerate(written))
    message = MIL_pb2.Value(
        type=create_valuetype_tensor((7,), MIL_pb2.DataType.Value(name.upper()))
    )
    message.immediateValue.tensor.bytes.values = packed.to_bytes(-(-7 * bits // 8), "little")
    np.testing.assert_array_equal(read(message).astype(np.int64), written)


def test_strings_stand_alone_in_tensors_and_in_lists():
    from coremltools.converters.mil.backend.mil.helper import (
        create_list_scalarvalue,
        create_scalar_value,
    )

    assert read(create_scalar_value("fp16")) == "fp16"
    assert read(create_list_scalarvalue(["a", "b"], str)) == ["a", "b"]
    assert read(create_list_scalarvalue([], str)) == []


def test_a_constant_of_the_wrong_size_is_refused():
    from coremltools.converters.mil.backend.mil.helper import create_tensor_value

    from mlbuild.coreml import ModelFileError

    message = create_tensor_value(np.zeros(3, np.float16))
    message.immediateValue.tensor.bytes.values += b"\0"
    with pytest.raises(ModelFileError) as error:
        read(message)
    assert str(error.value) == (
        "here: a constant's bytes do not fit its shape\n  got: 7 bytes, 6 needed"
    )


def large_constant(model):
    """The only large constant as the runtime uses it, and its weight file's memory."""
    from mlbuild.coreml.mil.constants import Constants
    from mlbuild.coreml.mil.program import Reference

    body = model.body
    constants = Constants(body.weights, body.function.opset)
    made = [op.outputs[0] for op in body.function.body.operations if constants.add(op)]
    (name,) = (output.name for output in made if (output.type.size or 0) > 1000)
    tensor = constants.get(Reference(name), "Tensor", name)
    (mapped,) = body.weights._maps.values()
    assert isinstance(mapped, mmap.mmap)
    return tensor, np.frombuffer(mapped, np.uint8)


@pytest.mark.parametrize(
    "name, is_view", [("float32", True), ("int8", True), ("int32", True), ("float16", False)]
)
def test_large_constants_are_views_of_the_weight_file(save_program, name, is_view):
    """float16 is computed with as float32, so it has to be copied."""
    from mlbuild.coreml import load

    weight = (np.arange(64 * 64) % 100).reshape(64, 64).astype(name)

    def build(mb, x):
        return mb.mul(x=mb.cast(x=mb.identity(x=weight), dtype="fp32"), y=x)

    path = save_program(build, {"x": np.ones(1, np.float32)}, "iOS18")
    model = load(path)
    tensor, file = large_constant(model)
    assert np.shares_memory(tensor.numpy(), file) == is_view
    np.testing.assert_array_equal(tensor.numpy(), weight)
    (got,) = model.predict({"x": np.ones(1, np.float32)}).values()
    np.testing.assert_array_equal(got, weight)
