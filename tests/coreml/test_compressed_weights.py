"""Compressed weights: unpacked as coremltools unpacks them, and as the documentation says."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


class Net(torch.nn.Module):
    """One convolution and one linear layer, large enough for every method."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(16, 32, 3)
        self.linear = torch.nn.Linear(32, 64)

    def forward(self, x):
        return self.linear(torch.relu(self.conv(x)).mean((2, 3)))


X = {"x": np.random.default_rng(0).uniform(-1, 1, (1, 16, 8, 8)).astype(np.float32)}

# what it proves, target, functions of coremltools.optimize.coreml with their options
CASES = [
    ("int8 for each channel", "iOS16", [("linear", {"mode": "linear_symmetric"})]),
    ("int8 with zero points", "iOS16", [("linear", {"mode": "linear"})]),
    ("uint8", "iOS16", [("linear", {"mode": "linear", "dtype": "uint8"})]),
    ("int8 for the whole tensor", "iOS18", [("linear", {"granularity": "per_tensor"})]),
    (
        "int4 for each block",
        "iOS18",
        [("linear", {"dtype": "int4", "granularity": "per_block", "block_size": 8})],
    ),
    (
        "uint4 with offsets for each block",
        "iOS18",
        [
            (
                "linear",
                {"dtype": "uint4", "granularity": "per_block", "block_size": 4, "mode": "linear"},
            )
        ],
    ),
    *(
        (f"{bits}-bit palette of iOS16", "iOS16", [("palette", {"mode": "uniform", "nbits": bits})])
        for bits in (1, 2, 4, 6, 8)
    ),
    *(
        (f"{bits}-bit palette of iOS18", "iOS18", [("palette", {"mode": "kmeans", "nbits": bits})])
        for bits in (1, 2, 3, 4, 6, 8)
    ),
    (
        "palettes for groups of channels",
        "iOS18",
        [("palette", {"nbits": 4, "granularity": "per_grouped_channel", "group_size": 8})],
    ),
    (
        "palettes with channel scales",
        "iOS18",
        [
            (
                "palette",
                {
                    "nbits": 4,
                    "granularity": "per_grouped_channel",
                    "group_size": 8,
                    "enable_per_channel_scale": True,
                },
            )
        ],
    ),
    ("palettes of vectors", "iOS18", [("palette", {"nbits": 4, "cluster_dim": 4})]),
    ("half of the weights pruned", "iOS16", [("prune", {"target_sparsity": 0.5})]),
    ("half of the weights pruned, iOS18", "iOS18", [("prune", {"target_sparsity": 0.5})]),
    (
        "pruned, then quantized",
        "iOS18",
        [("prune", {"target_sparsity": 0.5}), ("linear", {"mode": "linear_symmetric"})],
    ),
    (
        "pruned, then palettized",
        "iOS18",
        [("prune", {"target_sparsity": 0.5}), ("palette", {"nbits": 4})],
    ),
    (
        "palettized, its table then quantized",
        "iOS18",
        [("palette", {"nbits": 4}), ("linear", {"granularity": "per_tensor"})],
    ),
]


@pytest.fixture(scope="module")
def dense(ct, tmp_path_factory):
    """The uncompressed model for each target, made once."""
    made = {}

    def get(target):
        if target not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(Net().eval(), torch.from_numpy(X["x"]))
                made[target] = ct.convert(
                    traced,
                    inputs=[ct.TensorType(name="x", shape=X["x"].shape)],
                    minimum_deployment_target=getattr(ct.target, target),
                    skip_model_load=True,
                )
        return made[target]

    return get


def compress(model, steps):
    import coremltools.optimize.coreml as cto

    configs = {
        "linear": cto.OpLinearQuantizerConfig,
        "palette": cto.OpPalettizerConfig,
        "prune": cto.OpMagnitudePrunerConfig,
    }
    functions = {
        "linear": cto.linear_quantize_weights,
        "palette": cto.palettize_weights,
        "prune": cto.prune_weights,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (method, options) in enumerate(steps):
            config = cto.OptimizationConfig(
                global_config=configs[method](weight_threshold=1, **options)
            )
            joint = {"joint_compression": True} if number else {}
            model = functions[method](model, config, **joint)
    return model


@pytest.mark.parametrize(("target", "steps"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_compressed_model_equals_what_coremltools_unpacks(dense, tmp_path, target, steps):
    import coremltools.optimize.coreml as cto

    from mlbuild.coreml import load, summarize

    compressed = compress(dense(target), steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unpacked = cto.decompress_weights(compressed)
        compressed.save(str(tmp_path / "compressed.mlpackage"))
        unpacked.save(str(tmp_path / "unpacked.mlpackage"))
    found = summarize(tmp_path / "compressed.mlpackage")["weights"]
    assert all(w["compression"] for w in found if w["input"] == "weight" and len(w["shape"]) > 1)
    ours = load(tmp_path / "compressed.mlpackage").predict(X)
    theirs = load(tmp_path / "unpacked.mlpackage").predict(X)
    for name, expected in theirs.items():
        # the weights are equal to the bit; coremltools dequantizes in float16, which may round
        # a weight by one unit in the last place
        np.testing.assert_allclose(ours[name], expected, rtol=2e-3, atol=2e-3)
    dense(target).save(str(tmp_path / "dense.mlpackage"))
    (original,) = load(tmp_path / "dense.mlpackage").predict(X).values()
    assert np.abs(original - next(iter(ours.values()))).max() > 0  # it was not left uncompressed


def run(name, **operands):
    """One operator on constants, by its documented name: iOS18 unless it says iOS16."""
    from mlbuild.coreml.mil.ops import constexpr_ios16, constexpr_ios18

    module = constexpr_ios16 if name.startswith("ios16_") else constexpr_ios18
    return getattr(module, name.removeprefix("ios16_"))(**operands)


def test_affine_dequantize_along_an_axis():
    data = np.array([[10, 11], [12, 13]], np.uint8)
    result = run(
        "ios16_affine_dequantize",
        quantized_data=data,
        zero_point=np.array([10, 11], np.uint8),
        scale=np.array([0.5, 2.0], np.float16),
        axis=1,
    )
    np.testing.assert_array_equal(result, np.array([[0, 0], [1, 4]], np.float16))
    assert result.dtype == np.float16


def test_documented_packing_of_two_bit_indices():
    # i0..i3 in the first byte from the lowest bit on, i4 in the second
    indices = np.array([0b01101100, 0b00000011], np.uint8)
    lut = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    result = run("ios16_lut_to_dense", indices=indices, lut=lut, shape=np.array([5], np.uint32))
    np.testing.assert_array_equal(result, [0, 3, 2, 1, 3])


def test_documented_packing_of_a_mask():
    result = run(
        "ios16_sparse_to_dense",
        nonzero_data=np.array([7, 8], np.int8),
        mask=np.array([0b00001100], np.uint8),
        shape=np.array([5], np.uint32),
    )
    np.testing.assert_array_equal(result, [0, 0, 7, 8, 0])


def test_documented_example_of_grouped_palettes():
    indices = np.array([2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3], np.uint8).reshape(6, 2)
    lut = np.array([1, 5, 9, 13, 2, 10, 18, 26], np.float16).reshape(2, 1, 4, 1)
    expected = [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]]
    np.testing.assert_array_equal(run("lut_to_dense", indices=indices, lut=lut), expected)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_documented_example_of_vector_palettes(axis):
    indices = np.array([[[0, 0], [1, 0]], [[1, 1], [0, 0]]], np.uint8)
    lut = np.array([1, 2, 3, 4, 5, 6], np.float16).reshape(1, 1, 1, 2, 3)
    a, b = [1, 2, 3], [4, 5, 6]
    if axis == 1:
        first = np.array([[*a, *b], [*a, *a]]).T
        second = np.array([[*b, *a], [*b, *a]]).T
    else:
        first, second = np.array([a + a, b + a]), np.array([b + b, a + a])
    result = run("lut_to_dense", indices=indices, lut=lut, vector_axis=axis)
    np.testing.assert_array_equal(result, [first, second])


def test_documented_example_of_a_sparse_palette():
    mask = np.array(
        [[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]], np.uint8
    )
    data = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1], np.uint8)
    lut = np.array([2.0, 3.0], np.float16).reshape(1, 1, 2, 1)
    same, values = run("lut_to_sparse", indices_mask=mask, indices_nonzero_data=data, lut=lut)
    np.testing.assert_array_equal(same, mask)
    np.testing.assert_array_equal(values, [2, 3, 3, 2, 3, 3, 2, 2, 3])
    wide = np.array([[2.0, 2.0], [3.0, 3.0]], np.float16).reshape(1, 1, 2, 2)
    longer, values = run(
        "lut_to_sparse", indices_mask=mask, indices_nonzero_data=data, lut=wide, vector_axis=0
    )
    np.testing.assert_array_equal(longer, np.repeat(mask, 2, 0))
    np.testing.assert_array_equal(values[:4], [2, 3, 2, 3])


def test_documented_example_of_sparse_quantization():
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]], np.uint8)
    data = np.array([10, 11, 3, 4, 5, 6, 7, 8, 9], np.int8)
    _, values = run(
        "sparse_blockwise_shift_scale",
        data_mask=mask,
        nonzero_data=data,
        scale=np.array([[0.1, 0.2, 0.3, 0.4]], np.float32),
        offset=np.array([[1, 2, 3, 4]], np.int8),
    )
    expected = [0.9, 1.8, 0.2, 0.4, 0.6, 0.9, 1.2, 0.7, 1.4]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_blocks_have_their_own_scale():
    data = np.arange(8, dtype=np.int8).reshape(2, 4)
    scale = np.array([[1, 2], [3, 4]], np.float32)
    result = run("blockwise_shift_scale", data=data, scale=scale, offset=np.ones((2, 2), np.int8))
    np.testing.assert_array_equal(result, [[-1, 0, 2, 4], [9, 12, 20, 24]])


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("count", [1, 5, 8, 13])
def test_narrow_elements_are_read_as_coremltools_packs_them(tmp_path, bits, count):
    from coremltools.libmilstoragepython import _BlobStorageWriter

    from mlbuild.coreml.mil.dtypes import BY_NAME
    from mlbuild.coreml.mil.program import Blob
    from mlbuild.coreml.mil.weights import WeightFiles

    values = np.random.default_rng(bits).integers(0, 2**bits, count).astype(np.uint8)
    writer = _BlobStorageWriter(str(tmp_path / "w.bin"))
    offset = getattr(writer, f"write_uint{bits}_data")(values)
    signed = (values.astype(np.int8) - 2 ** (bits - 1)).astype(np.int8)
    second = writer.write_int4_data(signed) if bits == 4 else None
    del writer
    files = WeightFiles(tmp_path)
    read = files.read(Blob("@model_path/w.bin", offset), BY_NAME[f"uint{bits}"], count)
    np.testing.assert_array_equal(read, values)
    if second is not None:
        read = files.read(Blob("@model_path/w.bin", second), BY_NAME["int4"], count)
        np.testing.assert_array_equal(read, signed)
