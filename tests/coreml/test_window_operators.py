"""Convolution, pooling, normalization and resizing, against torch and worked examples."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
F = torch.nn.functional
pytestmark = pytest.mark.toolchain


def real(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def t(array):
    return torch.from_numpy(array)


def dequantized():
    scale, offset = torch.tensor([0.5, 0.25]), torch.tensor([-1.0, 2.0])
    return t(QUANTIZED).float() * scale.reshape(2, 1, 1, 1) + offset.reshape(2, 1, 1, 1)


IMAGE = {"x": real(1, 4, 9, 8)}
LINE = {"x": real(2, 4, 11)}
SPACE = {"x": real(1, 4, 5, 6, 4)}
W, B = real(6, 4, 3, 3, seed=1), real(6, seed=2)
GROUPED = real(8, 2, 3, 2, seed=3)
DEPTHWISE = real(4, 1, 3, 3, seed=4)
UP = real(4, 3, 3, 3, seed=5)
C = real(4, seed=6)
QUANTIZED = np.random.default_rng(11).integers(0, 16, (2, 4, 3, 3)).astype(np.uint8)
POSITIVE = np.abs(C) + 0.1

CASES = [
    (
        "convolution with bias",
        lambda mb, x: mb.conv(x=x, weight=W, bias=B),
        IMAGE,
        lambda x: F.conv2d(x, t(W), t(B)),
    ),
    (
        "strides and unequal padding",
        lambda mb, x: mb.conv(x=x, weight=W, strides=[2, 1], pad_type="custom", pad=[1, 0, 2, 1]),
        IMAGE,
        lambda x: F.conv2d(F.pad(x, [2, 1, 1, 0]), t(W), stride=(2, 1)),
    ),
    (
        "equal padding and dilation",
        lambda mb, x: mb.conv(x=x, weight=W, dilations=[2, 1], pad_type="custom", pad=[2, 2, 1, 1]),
        IMAGE,
        lambda x: F.conv2d(x, t(W), padding=(2, 1), dilation=(2, 1)),
    ),
    (
        "same puts an odd element behind",
        lambda mb, x: mb.conv(x=x, weight=W, strides=[2, 2], pad_type="same"),
        IMAGE,
        lambda x: F.conv2d(F.pad(x, [0, 1, 1, 1]), t(W), stride=2),
    ),
    (
        "same_lower puts it in front",
        lambda mb, x: mb.conv(x=x, weight=W, strides=[2, 2], pad_type="same_lower"),
        IMAGE,
        lambda x: F.conv2d(F.pad(x, [1, 0, 1, 1]), t(W), stride=2),
    ),
    (
        "groups",
        lambda mb, x: mb.conv(x=x, weight=GROUPED, groups=2),
        IMAGE,
        lambda x: F.conv2d(x, t(GROUPED), groups=2),
    ),
    (
        "depthwise",
        lambda mb, x: mb.conv(x=x, weight=DEPTHWISE, groups=4, pad_type="custom", pad=[1, 1, 1, 1]),
        IMAGE,
        lambda x: F.conv2d(x, t(DEPTHWISE), padding=1, groups=4),
    ),
    (
        "one dimension",
        lambda mb, x: mb.conv(x=x, weight=W[..., 0], strides=[2]),
        LINE,
        lambda x: F.conv1d(x, t(W[..., 0].copy()), stride=2),
    ),
    (
        "three dimensions",
        lambda mb, x: mb.conv(x=x, weight=W[..., None]),
        SPACE,
        lambda x: F.conv3d(x, t(W[..., None].copy())),
    ),
    (
        "transposed, cut by pad",
        lambda mb, x: mb.conv_transpose(
            x=x, weight=UP, bias=B[:3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        ),
        IMAGE,
        lambda x: F.conv_transpose2d(x, t(UP), t(B[:3].copy()), stride=2, padding=1),
    ),
    (
        "transposed to a given shape",
        lambda mb, x: mb.conv_transpose(
            x=x,
            weight=UP,
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            output_shape=[1, 3, 18, 16],
        ),
        IMAGE,
        lambda x: F.conv_transpose2d(x, t(UP), stride=2, padding=1, output_padding=1),
    ),
    (
        "transposed, whole",
        lambda mb, x: mb.conv_transpose(x=x, weight=UP, dilations=[2, 1]),
        IMAGE,
        lambda x: F.conv_transpose2d(x, t(UP), dilation=(2, 1)),
    ),
    (
        "average pooling counts padding",
        lambda mb, x: mb.avg_pool(
            x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        ),
        IMAGE,
        lambda x: F.avg_pool2d(x, 3, 2, 1),
    ),
    (
        "average pooling leaves padding out",
        lambda mb, x: mb.avg_pool(
            x=x,
            kernel_sizes=[3, 3],
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            exclude_padding_from_average=True,
        ),
        IMAGE,
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    (
        "average pooling, rounding up",
        lambda mb, x: mb.avg_pool(
            x=x,
            kernel_sizes=[2, 3],
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            ceil_mode=True,
        ),
        IMAGE,
        lambda x: F.avg_pool2d(F.pad(x, [1, 2, 1, 1]), (2, 3), 2),
    ),
    (
        "average pooling over the edge, as Core ML answers (coremltools' pull request 2844)",
        lambda mb, x: mb.avg_pool(
            x=x, kernel_sizes=[2, 2], strides=[3, 3], pad_type="valid", ceil_mode=True
        ),
        {"x": np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7)},
        lambda x: torch.tensor([[[[4, 7, 4.75], [25, 28, 15.25], [21.25, 22.75, 12]]]]),
    ),
    (
        "average pooling, rounding up, padding left out",
        lambda mb, x: mb.avg_pool(
            x=x,
            kernel_sizes=[2, 3],
            strides=[2, 2],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            ceil_mode=True,
            exclude_padding_from_average=True,
        ),
        IMAGE,
        lambda x: F.avg_pool2d(x, (2, 3), 2, 1, ceil_mode=True, count_include_pad=False),
    ),
    (
        "maximum pooling",
        lambda mb, x: mb.max_pool(
            x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        ),
        IMAGE,
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    (
        "maximum pooling, rounding up",
        lambda mb, x: mb.max_pool(
            x=x, kernel_sizes=[2, 3], strides=[2, 2], pad_type="valid", ceil_mode=True
        ),
        IMAGE,
        lambda x: F.max_pool2d(x, (2, 3), 2, ceil_mode=True),
    ),
    (
        "maximum pooling, same",
        lambda mb, x: mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="same"),
        IMAGE,
        lambda x: F.max_pool2d(F.pad(x, [0, 1, 1, 1], value=-9.0), 3, 2),
    ),
    (
        "pooling in one dimension",
        lambda mb, x: mb.max_pool(x=x, kernel_sizes=[3], strides=[2], pad_type="valid"),
        LINE,
        lambda x: F.max_pool1d(x, 3, 2),
    ),
    (
        "pooling in three dimensions",
        lambda mb, x: mb.avg_pool(x=x, kernel_sizes=[2, 2, 2], strides=[1, 2, 2], pad_type="valid"),
        SPACE,
        lambda x: F.avg_pool3d(x, 2, (1, 2, 2)),
    ),
    (
        "L2 pooling",
        lambda mb, x: mb.l2_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid"),
        IMAGE,
        lambda x: F.lp_pool2d(x, 2, 2, 2),
    ),
    (
        "batch norm",
        lambda mb, x: mb.batch_norm(x=x, mean=C, variance=POSITIVE, gamma=C, beta=C, epsilon=1e-3),
        IMAGE,
        lambda x: F.batch_norm(x, t(C), t(POSITIVE), t(C), t(C), eps=1e-3),
    ),
    (
        "instance norm",
        lambda mb, x: mb.instance_norm(x=x, gamma=C, beta=C, epsilon=1e-3),
        IMAGE,
        lambda x: F.instance_norm(x, weight=t(C), bias=t(C), eps=1e-3),
    ),
    (
        "layer norm over two axes",
        lambda mb, x: mb.layer_norm(
            x=x, axes=[2, -1], gamma=real(9, 8, seed=7), beta=real(9, 8, seed=8), epsilon=1e-3
        ),
        IMAGE,
        lambda x: F.layer_norm(x, (9, 8), t(real(9, 8, seed=7)), t(real(9, 8, seed=8)), 1e-3),
    ),
    (
        "layer norm over the channels",
        lambda mb, x: mb.layer_norm(x=x, axes=[1], gamma=C),
        IMAGE,
        lambda x: F.layer_norm(x.movedim(1, -1), (4,), t(C)).movedim(-1, 1),
    ),
    (
        "L2 norm over the last three axes",
        lambda mb, x: mb.l2_norm(x=x, epsilon=1e-3),
        IMAGE,
        lambda x: x / (x.square().sum((1, 2, 3), True) + 1e-3).sqrt(),
    ),
    (
        "quantized convolution",
        lambda mb, x: mb.conv_quantized(
            x=x,
            weight=QUANTIZED,
            bias=np.array([1, 2], np.uint8),
            quantization_type="linear",
            nbits=4,
            quant_scale=np.array([0.5, 0.25], np.float32),
            quant_bias=np.array([-1, 2], np.float32),
            strides=[2, 1],
        ),
        IMAGE,
        lambda x: F.conv2d(x, dequantized(), torch.tensor([1.0, 2.0]), (2, 1)),
    ),
    (
        "local response norm",
        lambda mb, x: mb.local_response_norm(x=x, size=3, alpha=0.2, beta=0.6, k=1.5),
        IMAGE,
        lambda x: F.local_response_norm(x, 3, 0.2, 0.6, 1.5),
    ),
    (
        "bilinear, corners aligned",
        lambda mb, x: mb.upsample_bilinear(
            x=x, scale_factor_height=2, scale_factor_width=3, align_corners=True
        ),
        IMAGE,
        lambda x: F.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=True),
    ),
    (
        "bilinear, half pixels",
        lambda mb, x: mb.upsample_bilinear(
            x=x, scale_factor_height=2, scale_factor_width=3, align_corners=False
        ),
        IMAGE,
        lambda x: F.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=False),
    ),
    (
        "nearest neighbours repeated",
        lambda mb, x: mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=2, scale_factor_width=3
        ),
        IMAGE,
        lambda x: F.interpolate(x, scale_factor=(2, 3), mode="nearest"),
    ),
    (
        "nearest neighbours to a size",
        lambda mb, x: mb.resize_nearest_neighbor(x=x, target_size_height=18, target_size_width=16),
        IMAGE,
        lambda x: F.interpolate(x, size=(18, 16), mode="nearest"),
    ),
    (
        "bilinear to a smaller size",
        lambda mb, x: mb.resize_bilinear(
            x=x, target_size_height=5, target_size_width=5, sampling_mode="UNALIGN_CORNERS"
        ),
        IMAGE,
        lambda x: F.interpolate(x, size=(5, 5), mode="bilinear", align_corners=False),
    ),
]


@pytest.mark.parametrize(("build", "inputs", "oracle"),
                         [c[1:] for c in CASES], ids=[c[0] for c in CASES])  # fmt: skip
def test_operator_agrees_with_torch(save_program, build, inputs, oracle):
    from mlbuild.coreml import load

    # same_lower exists from iOS16 on; nothing else here changed then
    (actual,) = load(save_program(build, inputs, "iOS16")).predict(inputs).values()
    expected = oracle(*(torch.from_numpy(array) for array in inputs.values())).numpy()
    assert actual.shape == expected.shape
    # sums of some dozen products in another order
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


# The grid points that the documentation of resize_bilinear lists for a line of two pixels.
GRIDS = [
    ("UNALIGN_CORNERS", [0.0, 0.1, 0.5, 0.9, 1.0]),
    ("STRICT_ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0]),
    ("ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0]),
    ("DEFAULT", [0.0, 0.4, 0.8, 1.0, 1.0]),
    ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
    ("UNALIGN_CORNERS", [0.0, 0.0, 1 / 3, 2 / 3, 1.0, 1.0]),
    ("STRICT_ALIGN_CORNERS", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ("DEFAULT", [0.0, 1 / 3, 2 / 3, 1.0, 1.0, 1.0]),
    ("OFFSET_CORNERS", [1 / 12, 0.25, 5 / 12, 7 / 12, 0.75, 11 / 12]),
]


@pytest.mark.parametrize("opset", ["iOS15", "iOS17"])
@pytest.mark.parametrize(("mode", "points"), GRIDS)
def test_sampling_grids_are_the_documented_ones(save_program, opset, mode, points):
    from mlbuild.coreml import load

    def build(mb, x):
        if opset == "iOS15":
            return mb.resize_bilinear(
                x=x, target_size_height=1, target_size_width=len(points), sampling_mode=mode
            )
        return mb.resize(x=x, shape=[1, len(points)], resized_dims=np.uint32(2), sampling_mode=mode)

    inputs = {"x": np.array([[[[0.0, 1.0]]]], np.float32)}
    (actual,) = load(save_program(build, inputs, opset)).predict(inputs).values()
    np.testing.assert_allclose(actual.reshape(-1), points, atol=1e-6)


def test_one_sample_of_a_line_is_its_middle_only_with_align_corners(save_program):
    from mlbuild.coreml import load

    inputs = {"x": np.arange(5, dtype=np.float32).reshape(1, 1, 1, 5)}
    for mode, expected in (("ALIGN_CORNERS", 2.0), ("STRICT_ALIGN_CORNERS", 0.0)):
        path = save_program(
            lambda mb, x, mode=mode: mb.resize_bilinear(
                x=x, target_size_height=1, target_size_width=1, sampling_mode=mode
            ),
            inputs,
        )
        (actual,) = load(path).predict(inputs).values()
        assert actual.item() == expected


def test_resize_leaves_a_dimension_of_zero_as_it_is(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        return mb.resize(
            x=x,
            shape=[0, 4],
            resized_dims=np.uint32(2),
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="UNALIGN_CORNERS",
        )

    inputs = {"x": np.array([[[[1.0, 2.0]] * 3]], np.float32)}
    (actual,) = load(save_program(build, inputs, "iOS17")).predict(inputs).values()
    np.testing.assert_array_equal(actual, [[[[1.0, 1.0, 2.0, 2.0]] * 3]])


def sampled(padding, mode="bilinear", align=True):
    def build(mb, x, points):
        return mb.resample(
            x=x,
            coordinates=points,
            sampling_mode=mode,
            padding_mode=padding,
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=align,
        )

    return build


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize(
    ("padding", "torch_padding"), [("constant", "zeros"), ("border", "border")]
)
def test_resample_is_grid_sample(save_program, padding, torch_padding, align):
    from mlbuild.coreml import load

    inputs = {"x": real(2, 3, 5, 6), "points": real(2, 4, 7, 2, seed=9) * 0.7}
    (actual,) = load(save_program(sampled(padding, align=align), inputs)).predict(inputs).values()
    expected = F.grid_sample(
        t(inputs["x"]), t(inputs["points"]), padding_mode=torch_padding, align_corners=align
    )
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)


def test_affine_is_affine_grid_and_grid_sample(save_program):
    from mlbuild.coreml import load

    matrix = np.array([[0.9, 0.2, 0.1, -0.3, 1.1, 0.05]], np.float32)

    def build(mb, x):
        return mb.affine(
            x=x,
            transform_matrix=matrix,
            output_height=4,
            output_width=7,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=True,
        )

    inputs = {"x": real(1, 3, 5, 6)}
    (actual,) = load(save_program(build, inputs)).predict(inputs).values()
    grid = F.affine_grid(t(matrix).reshape(1, 2, 3), [1, 3, 4, 7], align_corners=True)
    expected = F.grid_sample(t(inputs["x"]), grid, align_corners=True)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)


def test_crop_resize_of_whole_boxes_is_a_crop(save_program):
    from mlbuild.coreml import load

    boxes = np.array([[1, 2, 3, 5], [0, 0, 2, 3]], np.float32)

    def build(mb, x):
        return mb.crop_resize(
            x=x,
            boxes=boxes,
            box_indices=np.array([1, 0], np.int32),
            target_height=3,
            target_width=4,
            sampling_mode="ALIGN_CORNERS",
        )

    inputs = {"x": real(2, 3, 6, 7)}
    (actual,) = load(save_program(build, inputs, "iOS17")).predict(inputs).values()
    expected = np.stack([inputs["x"][1][:, 1:4, 2:6], inputs["x"][0][:, 0:3, 0:4]])
    np.testing.assert_allclose(actual, expected, atol=1e-6)
