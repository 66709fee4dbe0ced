"""Convolution, pooling, borders and resizing of networks, against torch and the specification."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import array, close, t  # noqa: E402

pytestmark = pytest.mark.toolchain

F = torch.nn.functional


X4 = array(2, 4, 7, 9)

CONVOLUTIONS = [
    ("valid", {}, {}, (0, 0, 0, 0)),
    ("padding that differs on each side", {},
     {"padding_top": 1, "padding_bottom": 2, "padding_left": 3, "padding_right": 0}, (3, 0, 1, 2)),
    ("stride", {"stride": (2, 3)}, {}, (0, 0, 0, 0)),
    ("dilation", {"dilation": (2, 1)}, {}, (0, 0, 0, 0)),
    ("groups", {"groups": 2}, {}, (0, 0, 0, 0)),
]  # fmt: skip


def convolution(weights, groups=1, border="valid", bias=None, **options):
    """What adds a convolution of weights [out, in / groups, h, w]."""
    outputs, kernels, height, width = weights.shape
    stride, dilation = options.pop("stride", (1, 1)), options.pop("dilation", (1, 1))

    def build(b):
        b.add_convolution(
            "conv", kernels, outputs, height, width, *stride, border, groups,
            weights.transpose(2, 3, 1, 0), bias, bias is not None, input_name="x",
            output_name="y", dilation_factors=list(dilation), **options,
        )  # fmt: skip

    return build


@pytest.mark.parametrize(
    ("options", "padding", "around"),
    [c[1:] for c in CONVOLUTIONS],
    ids=[c[0] for c in CONVOLUTIONS],
)
def test_convolution_is_torchs(run_network, options, padding, around):
    groups = options.get("groups", 1)
    weights, bias = array(6, 4 // groups, 3, 2, seed=1), array(6, seed=2)
    y = run_network(convolution(weights, bias=bias, **options, **padding), {"x": X4})
    close(y, F.conv2d(F.pad(t(X4), around), t(weights), t(bias), **options))


@pytest.mark.parametrize("mode", ["BOTTOM_RIGHT_HEAVY", "TOP_LEFT_HEAVY"])
def test_same_padding_puts_an_odd_element_on_the_named_side(run_network, mode):
    weights = array(3, 4, 3, 2, seed=1)
    build = convolution(weights, border="same", stride=(2, 1), same_padding_asymmetry_mode=mode)
    y = run_network(build, {"x": X4[:, :, :6]})
    # H: 3 windows of 3 with stride 2 need 7 of 6 elements; W: 9 windows of 2 need 10 of 9
    around = (0, 1, 0, 1) if mode == "BOTTOM_RIGHT_HEAVY" else (1, 0, 1, 0)
    close(y, F.conv2d(F.pad(t(X4[:, :, :6]), around), t(weights), stride=(2, 1)))


def test_weights_may_be_a_second_blob(run_network):
    weights = array(5, 4, 3, 2, seed=1)

    def build(b):
        b.add_convolution("conv", 4, 5, 3, 2, 1, 1, "valid", 1, None, None, False,
                          input_name=["x", "w"], output_name="y")  # fmt: skip

    close(run_network(build, {"x": X4, "w": weights}), F.conv2d(t(X4), t(weights)))


def test_all_dimensions_before_the_channels_are_a_batch(run_network):
    weights, x = array(5, 4, 3, 2, seed=1), array(2, 3, 4, 7, 9)
    y = run_network(convolution(weights), {"x": x})
    close(y, F.conv2d(t(x).flatten(0, 1), t(weights)).reshape(2, 3, 5, 5, 8))


DECONVOLUTIONS = [
    ("valid", "valid", {}, 1, None, (slice(None), slice(None))),
    ("cut", "valid", {"padding_top": 1, "padding_right": 2}, 1, None, (slice(1, None), slice(-2))),
    ("groups", "valid", {}, 2, None, (slice(None), slice(None))),
    # whole: 6 * 2 + 3 = 15 and 8 * 2 + 4 = 20; same gives 14 and 18
    ("same", "same", {}, 1, None, (slice(0, 14), slice(1, 19))),
    ("same top", "same", {"same_padding_asymmetry_mode": "TOP_LEFT_HEAVY"}, 1, None,
     (slice(1, 15), slice(1, 19))),
    ("output shape", "same", {}, 1, (13, 19), (slice(1, 14), slice(0, 19))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("border", "options", "groups", "shape", "part"),
    [d[1:] for d in DECONVOLUTIONS],
    ids=[d[0] for d in DECONVOLUTIONS],
)
def test_deconvolution_is_a_part_of_torchs(run_network, border, options, groups, shape, part):
    weights, bias = array(4, 6 // groups, 3, 4, seed=1), array(6, seed=2)

    def build(b):
        b.add_convolution(
            "deconv", 4, 6, 3, 4, 2, 2, border, groups, weights.transpose(2, 3, 0, 1), bias, True,
            is_deconv=True, output_shape=shape, input_name="x", output_name="y", **options,
        )  # fmt: skip

    whole = F.conv_transpose2d(t(X4), t(weights), t(bias), stride=2, groups=groups)
    close(run_network(build, {"x": X4}), whole[(..., *part)])


def convolution3d(weights, transposed=False, groups=1, **options):
    stored = weights.transpose(1, 0, 2, 3, 4) if transposed else weights
    inputs = weights.shape[0] if transposed else weights.shape[1] * groups
    outputs = weights.shape[1] * groups if transposed else weights.shape[0]

    def build(b):
        b.add_convolution3d(
            "conv", inputs, outputs, *weights.shape[2:], stored, None, False, groups=groups,
            is_deconv=transposed, input_name="x", output_name="y", **options,
        )  # fmt: skip

    return build


X5 = array(1, 4, 5, 6, 7)


def test_convolution_in_three_dimensions_is_torchs(run_network):
    weights = array(6, 2, 2, 3, 2, seed=1)
    sides = {"front": 1, "back": 0, "top": 2, "bottom": 1, "left": 0, "right": 3}
    padding = {f"padding_{side}": n for side, n in sides.items()}
    build = convolution3d(weights, groups=2, padding_mode="custom", stride_depth=2, **padding)
    padded = F.pad(t(X5), (0, 3, 2, 1, 1, 0))
    y = run_network(build, {"x": X5})
    close(y, F.conv3d(padded, t(weights), stride=(2, 1, 1), groups=2))


@pytest.mark.parametrize("groups", [1, 2])
def test_deconvolution_in_three_dimensions_is_torchs(run_network, groups):
    weights = array(4, 3, 2, 3, 2, seed=1)
    padding = {f"padding_{side}": 1 for side in ("front", "back", "top", "bottom", "left", "right")}
    build = convolution3d(weights, True, groups, padding_mode="custom", stride_height=2, **padding)
    expected = F.conv_transpose3d(t(X5), t(weights), None, (1, 2, 1), 1, 0, groups)
    close(run_network(build, {"x": X5}), expected)


def test_the_specifications_example_of_same_padding_in_three_dimensions(run_network):
    x, weights = array(1, 3, 3, 8, 8), array(2, 3, 3, 3, 3, seed=1)
    strides = {f"stride_{axis}": 2 for axis in ("depth", "height", "width")}
    y = run_network(convolution3d(weights, padding_mode="same", **strides), {"x": x})
    close(y, F.conv3d(F.pad(t(x), (0, 1, 0, 1, 1, 1)), t(weights), stride=2))


def pooled(x, kind, padding="VALID", size=(3, 2), stride=(2, 2), exclude=False, **options):
    def build(b):
        b.add_pooling("pool", *size, *stride, kind, padding, "x", "y", exclude, **options)

    return build, {"x": x}


@pytest.mark.parametrize("exclude", [True, False])
def test_average_pooling_counts_padding_or_not(run_network, exclude):
    sides = {"padding_top": 1, "padding_bottom": 1, "padding_left": 1, "padding_right": 1}
    y = run_network(*pooled(X4, "AVERAGE", exclude=exclude, **sides))
    close(y, F.avg_pool2d(t(X4), (3, 2), 2, 1, count_include_pad=not exclude))


def test_padding_never_wins_a_maximum(run_network):
    x = -np.abs(X4)
    sides = {"padding_top": 1, "padding_bottom": 1, "padding_left": 1, "padding_right": 1}
    close(run_network(*pooled(x, "MAX", **sides)), F.max_pool2d(t(x), (3, 2), 2, 1))


@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
@pytest.mark.parametrize("pad", [0, 1])
def test_the_last_pixel_is_included_as_torchs_ceil_mode_does(run_network, kind, pad):
    x = array(1, 2, 8, 8)
    sides = {f"padding_{s}": pad for s in ("top", "bottom", "left", "right")}
    y = run_network(*pooled(x, kind, "INCLUDE_LAST_PIXEL", (3, 3), (2, 2), **sides))
    pool = F.max_pool2d if kind == "MAX" else F.avg_pool2d
    close(y, pool(t(x), 3, 2, pad, ceil_mode=True))


def test_l2_pooling_is_the_length_of_each_window(run_network):
    close(run_network(*pooled(X4, "L2")), F.lp_pool2d(t(X4), 2.0, (3, 2), 2))


def test_same_pooling_leaves_no_pixel_out(run_network):
    y = run_network(*pooled(X4, "AVERAGE", "SAME", (3, 3), (2, 2), True))
    close(y, F.avg_pool2d(t(X4), 3, 2, 1, count_include_pad=False))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("MAX", X4.max((2, 3), keepdims=True)),
        ("AVERAGE", X4.mean((2, 3), keepdims=True)),
        ("L2", np.sqrt((X4**2).sum((2, 3), keepdims=True))),
    ],
)
def test_global_pooling_reduces_the_plane(run_network, kind, expected):
    close(run_network(*pooled(X4, kind, size=(0, 0), stride=(0, 0), is_global=True)), expected)


VOLUME = np.arange(1, 19, dtype=np.float32).reshape(1, 1, 2, 3, 3)


@pytest.mark.parametrize(
    ("kind", "expected"), [("MAX", [14, 15, 17, 18]), ("AVERAGE", [7.5, 8.5, 10.5, 11.5])]
)
def test_the_specifications_example_of_pooling_in_three_dimensions(run_network, kind, expected):
    def build(b):
        b.add_pooling3d("pool", "x", "y", kind, 2, 2, 2, stride_depth=1, stride_height=1,
                        stride_width=1, padding_mode="VALID")  # fmt: skip

    close(run_network(build, {"x": VOLUME}), np.reshape(expected, (1, 1, 1, 2, 2)))


@pytest.mark.parametrize("exclude", [True, False])
def test_pooling_in_three_dimensions_counts_padding_or_not(run_network, exclude):
    sides = {f"custom_padding_{s}": 1 for s in ("front", "back", "top", "bottom", "left", "right")}

    def build(b):
        b.add_pooling3d("pool", "x", "y", "AVERAGE", 2, 2, 2, stride_depth=2, stride_height=1,
                        stride_width=1, padding_mode="CUSTOM",
                        average_pooling_count_excludes_padding=exclude, **sides)  # fmt: skip

    y = F.avg_pool3d(t(X5), 2, (2, 1, 1), 1, count_include_pad=not exclude)
    close(run_network(build, {"x": X5}), y)


@pytest.mark.parametrize(("kind", "expected"), [("MAX", 18), ("AVERAGE", 9.5)])
def test_the_specifications_example_of_global_pooling_in_three_dimensions(
    run_network, kind, expected
):
    found = run_network(lambda b: b.add_global_pooling3d("p", "x", "y", kind), {"x": VOLUME})
    close(found, np.full((1, 1, 1, 1, 1), expected))


X3 = array(4, 3, 5)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("constant", np.pad(X3, ((0, 0), (2, 1), (1, 3)), constant_values=-1)),
        ("reflection", np.pad(X3, ((0, 0), (2, 1), (1, 3)), mode="reflect")),
        ("replication", np.pad(X3, ((0, 0), (2, 1), (1, 3)), mode="edge")),
    ],
)
def test_padding_is_numpys(run_network, mode, expected):
    def build(b):
        b.add_padding("p", 1, 3, 2, 1, -1.0, "x", "y", mode)

    close(run_network(build, {"x": X3}), expected)


def test_cropping_cuts_amounts_or_at_an_offset(run_network):
    close(
        run_network(lambda b: b.add_crop("c", 1, 2, 0, 1, [0, 0], ["x"], "y"), {"x": X3}),
        X3[:, 0:2, 1:3],
    )
    close(
        run_network(
            lambda b: b.add_crop("c", 0, 0, 0, 0, [1, 2], ["x", "like"], "y"),
            {"x": X3, "like": np.zeros((4, 2, 3))},
        ),
        X3[:, 1:3, 2:5],
    )


LINE = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3)


@pytest.mark.parametrize(
    ("mode", "linear", "factor", "expected"),
    [
        ("NN", "DEFAULT", 2, [1, 1, 2, 2, 3, 3]),
        ("BILINEAR", "DEFAULT", 3, [1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 3, 3]),
        ("BILINEAR", "ALIGN_CORNERS_TRUE", 2, [1, 1.4, 1.8, 2.2, 2.6, 3]),
        ("BILINEAR", "ALIGN_CORNERS_FALSE", 2, [1, 1.25, 1.75, 2.25, 2.75, 3]),
        ("BILINEAR", "ALIGN_CORNERS_TRUE", 5 / 3, [1, 1.5, 2, 2.5, 3]),
    ],
)
def test_upsampling_samples_the_specified_points(run_network, mode, linear, factor, expected):
    def build(b):
        b.add_upsample("u", 1, factor, "x", "y", mode, linear)

    close(run_network(build, {"x": LINE}), np.reshape(expected, (1, 1, -1)))


@pytest.mark.parametrize(
    ("mode", "points"),
    [  # of a line of seven elements, 0 to 6
        ("STRICT_ALIGN_ENDPOINTS_MODE", [0, 2, 4, 6]),
        ("ALIGN_ENDPOINTS_MODE", [0, 2, 4, 6]),
        ("UPSAMPLE_MODE", [0, 1.75, 3.5, 5.25]),
        ("ROI_ALIGN_MODE", [0.75, 2.25, 3.75, 5.25]),
        ("STRICT_ALIGN_ENDPOINTS_MODE", [0]),
        ("ALIGN_ENDPOINTS_MODE", [3]),
    ],
)
def test_resizing_samples_the_specified_points(run_network, mode, points):
    ramp = np.arange(7.0).reshape(1, 1, 7)
    y = run_network(
        lambda b: b.add_resize_bilinear("r", "x", "y", 1, len(points), mode), {"x": ramp}
    )
    close(y, np.reshape(points, (1, 1, -1)))


GRID = np.add.outer(np.arange(6.0) * 10, np.arange(8.0))  # 10 row + column


@pytest.mark.parametrize(
    ("box", "mode", "normalized"),
    [
        ([1, 2, 3, 6], "CORNERS_HEIGHT_FIRST", False),
        ([2, 1, 6, 3], "CORNERS_WIDTH_FIRST", False),
        ([2, 4, 2, 4], "CENTER_SIZE_HEIGHT_FIRST", False),
        ([4, 2, 4, 2], "CENTER_SIZE_WIDTH_FIRST", False),
        ([1 / 5, 2 / 7, 3 / 5, 6 / 7], "CORNERS_HEIGHT_FIRST", True),
    ],
)
@pytest.mark.parametrize("named", [False, True], ids=["all images", "image named"])
def test_one_box_is_cut_however_it_is_written(run_network, box, mode, normalized, named):
    images = np.stack([GRID, GRID + 100])[None, :, None]  # two images of one channel
    boxes = np.reshape([*([1] if named else []), *box], (1, 1, -1, 1, 1))

    def build(b):
        b.add_crop_resize("c", ["x", "boxes"], "y", 3, 3, "STRICT_ALIGN_ENDPOINTS_MODE",
                          normalized, mode)  # fmt: skip

    expected = np.add.outer([10, 20, 30], [2, 4, 6])
    expected = np.stack([expected + 100] if named else [expected, expected + 100])[None, :, None]
    close(run_network(build, {"x": images, "boxes": boxes}), expected, atol=1e-4)


def test_a_layer_that_would_fill_the_memory_is_refused(run_network):
    from mlbuild.coreml import ExecutionError

    def build(b):
        b.add_upsample("u", 1 << 20, 1 << 20, "x", "y")

    with pytest.raises(ExecutionError, match=r"a value of a size that this machine cannot hold"):
        run_network(build, {"x": X3})
