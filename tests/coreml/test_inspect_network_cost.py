"""Multiply-adds and memory of neural networks, against figures worked out by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import builder  # noqa: E402

pytestmark = pytest.mark.toolchain


@pytest.fixture
def costs(ct, tmp_path):
    """Build a network of one or more inputs, save it, and say what ``summarize`` finds."""

    def find(build, inputs, outputs=("y",), exact=True, **options):
        from mlbuild.coreml import summarize

        b = builder(inputs, dict.fromkeys(outputs), disable_rank5_shape_mapping=exact)
        build(b)
        path = tmp_path / "net.mlmodel"
        path.write_bytes(b.spec.SerializeToString())
        return summarize(path, **options)

    return find


def convolution(inputs, outputs, groups=1, transposed=False, stride=1):
    """Kernels of 3 x 2, without a border."""
    first, second = (inputs, outputs // groups) if transposed else (inputs // groups, outputs)

    def build(b):
        b.add_convolution(
            "l", first, outputs, 3, 2, stride, stride, "valid", groups,
            np.zeros((3, 2, first, second)), None, False, transposed, input_name="x",
            output_name="y",
        )  # fmt: skip

    return build


def convolution3d(transposed):
    def build(b):
        shape = (4, 3, 2, 2, 2) if transposed else (6, 2, 2, 2, 2)
        b.add_convolution3d(
            "l", 4, 6, 2, 2, 2, np.zeros(shape), None, False, groups=2, is_deconv=transposed,
            input_name="x", output_name="y",
        )  # fmt: skip

    return build


def gates(count):
    return [np.zeros((9, 9))] * count, [np.zeros((9, 3))] * count


def lstm(b):
    b.add_unilstm("l", *gates(4), None, 9, 3, ["x"], ["y"], output_all=True)


def bidirectional(b):
    b.add_bidirlstm("l", *gates(4), None, *gates(4), None, 9, 3, ["x"], ["y"], output_all=True)


def gru(b):
    b.add_gru("l", *gates(3), None, 9, 3, ["x"], ["y"], output_all=True)


def simple(b):
    b.add_simple_rnn("l", *[g[0] for g in gates(1)], None, 9, 3, "TANH", ["x"], ["y"], True)


SEQUENCE = {"x": (6, 2, 3, 1, 1)}
LAYERS = [
    # out 8 x 10 x 11, each of 3 x 2 windows of 3 channels
    ("convolution", convolution(3, 8), {"x": (1, 3, 12, 12)}, 8 * 10 * 11 * 3 * 2 * 3),
    # out 8 x 5 x 6 of a stride of 2
    ("stride", convolution(3, 8, stride=2), {"x": (1, 3, 12, 12)}, 8 * 5 * 6 * 3 * 2 * 3),
    ("batch", convolution(3, 8), {"x": (5, 3, 12, 12)}, 5 * 8 * 10 * 11 * 3 * 2 * 3),
    # each of 6 x 10 x 11 sees one channel
    ("depthwise", convolution(6, 6, 6), {"x": (1, 6, 12, 12)}, 6 * 10 * 11 * 3 * 2),
    # every input element meets the 3 x 2 windows of 4 outputs, or of the 2 of its group
    ("deconvolution", convolution(6, 4, 1, True), {"x": (1, 6, 5, 5)}, 6 * 5 * 5 * 4 * 3 * 2),
    ("in groups", convolution(6, 4, 2, True), {"x": (1, 6, 5, 5)}, 6 * 5 * 5 * 2 * 3 * 2),
    # out 6 x 2 x 3 x 4, windows of 2 x 2 x 2 of 2 of 4 channels
    ("volume", convolution3d(False), {"x": (1, 4, 3, 4, 5)}, 6 * 2 * 3 * 4 * 8 * 2),
    ("deconvolved volume", convolution3d(True), {"x": (1, 4, 3, 4, 5)}, 4 * 3 * 4 * 5 * 8 * 3),
    ("dense", lambda b: b.add_inner_product("l", np.zeros((5, 16)), None, 16, 5, False, "x", "y"),
     {"x": (7, 16)}, 7 * 5 * 16),
    ("dense on pictures",
     lambda b: b.add_inner_product("l", np.zeros((5, 16)), None, 16, 5, False, "x", "y"),
     {"x": (7, 4, 2, 2)}, 7 * 5 * 16),
    ("product", lambda b: b.add_batched_mat_mul("l", ["x", "z"], "y"),
     {"x": (4, 2, 3), "z": (4, 3, 5)}, 4 * 2 * 5 * 3),
    ("product, turned", lambda b: b.add_batched_mat_mul("l", ["x", "z"], "y", transpose_a=True),
     {"x": (4, 3, 2), "z": (4, 3, 5)}, 4 * 2 * 5 * 3),
    ("product of vectors", lambda b: b.add_batched_mat_mul("l", ["x", "z"], "y"),
     {"x": (10,), "z": (10,)}, 10),
    ("product by weights",
     lambda b: b.add_batched_mat_mul("l", ["x"], "y", weight_matrix_rows=3,
                                     weight_matrix_columns=5, W=np.zeros((3, 5))),
     {"x": (4, 2, 3)}, 4 * 2 * 5 * 3),
    ("dot", lambda b: b.add_elementwise("l", ["x", "z"], "y", "DOT"),
     {"x": (1, 7, 1, 1), "z": (1, 7, 1, 1)}, 7),
    # 6 steps of 2, so many gates of 9, each of 3 inputs and 9 former outputs
    ("recurrent", simple, SEQUENCE, 6 * 2 * 1 * 9 * (3 + 9)),
    ("gru", gru, SEQUENCE, 6 * 2 * 3 * 9 * (3 + 9)),
    ("lstm", lstm, SEQUENCE, 6 * 2 * 4 * 9 * (3 + 9)),
    ("lstm in both directions", bidirectional, SEQUENCE, 2 * 6 * 2 * 4 * 9 * (3 + 9)),
    ("nothing to multiply", lambda b: b.add_softmax_nd("l", "x", "y", 0), {"x": (9,)}, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "inputs", "expected"), [row[1:] for row in LAYERS], ids=[row[0] for row in LAYERS]
)
def test_multiply_adds_follow_from_the_shapes_of_a_run(costs, build, inputs, expected):
    found = costs(build, inputs)
    assert found["multiply_adds"] == expected
    assert found["multiply_adds_by_layer"] == ({"l": expected} if expected else {})
    assert found["uncounted"] == []


def test_a_network_of_the_first_version_counts_its_five_dimensions(costs):
    found = costs(convolution(3, 8), {"x": (3, 12, 12)}, exact=False)
    assert found["multiply_adds"] == 8 * 10 * 11 * 3 * 2 * 3


def test_the_memory_is_that_of_blobs_that_are_still_needed(costs):
    def build(b):
        b.add_inner_product("wide", np.zeros((100, 10)), None, 10, 100, False, "x", "a")
        b.add_inner_product("less", np.zeros((60, 100)), None, 100, 60, False, "a", "b")
        b.add_inner_product("last", np.zeros((70, 60)), None, 60, 70, False, "b", "y")

    found = costs(build, {"x": (1, 10)})
    # float32: while "less" runs a and b are needed, x and y not; in "last" there are 60 and 70
    assert (found["peak_bytes"], found["peak_at"]) == (4 * (100 + 60), "less")


def branches(b, taken):
    """One dense layer of 4 by 4, or two of them where ``taken`` is 0."""
    from coremltools.models.neural_network import NeuralNetworkBuilder

    b.add_load_constant_nd("which", "which", np.float32([taken]), (1,))
    branch = b.add_branch("branch", "which").branch
    for network, layers in ((branch.ifBranch, ["one"]), (branch.elseBranch, ["two", "three"])):
        inner = NeuralNetworkBuilder(nn_spec=network)
        for name in layers:
            inner.add_inner_product(name, np.zeros((4, 4)), None, 4, 4, False, "x", f"{name} y")
        inner.add_copy(f"{layers[-1]} copy", f"{layers[-1]} y", "y")


@pytest.mark.parametrize(
    ("taken", "counted", "uncounted"),
    [(1.0, {"one": 16}, ["two", "three"]), (0.0, {"two": 16, "three": 16}, ["one"])],
)
def test_layers_of_a_branch_that_is_not_taken_are_named(costs, taken, counted, uncounted):
    found = costs(lambda b: branches(b, taken), {"x": (1, 4)})
    assert found["multiply_adds_by_layer"] == counted
    assert found["uncounted"] == uncounted


def test_a_layer_in_a_loop_counts_once(costs):
    from coremltools.models.neural_network import NeuralNetworkBuilder

    def build(b):
        b.add_copy("first", "x", "y")
        loop = b.add_loop("loop", max_iterations=3).loop
        body = NeuralNetworkBuilder(nn_spec=loop.bodyNetwork)
        body.add_inner_product("inside", np.zeros((4, 4)), None, 4, 4, False, "y", "next")
        body.add_copy("again", "next", "y")

    assert costs(build, {"x": (1, 4)})["multiply_adds_by_layer"] == {"inside": 16}


def test_a_network_that_cannot_run_is_inspected_all_the_same(costs):
    def build(b):
        b.add_inner_product("l", np.zeros((5, 16)), None, 16, 5, False, "x", "y")

    found = costs(build, {"x": (7, 15)})
    assert found["parameters"] == 5 * 16
    assert "multiply_adds" not in found
    assert found["cost_unknown"].startswith("layer 0 'l', innerProduct: ")


def test_pictures_and_classifiers_are_counted(ct, tmp_path):
    from mlbuild.coreml import summarize

    b = builder({"x": (3, 8, 8)}, {"y": None}, mode="classifier")
    b.add_inner_product("l", np.zeros((2, 192)), None, 192, 2, False, "x", "y")
    b.set_class_labels(["cat", "dog"], prediction_blob="y")
    b.set_pre_processing_parameters(image_input_names=["x"])
    (tmp_path / "net.mlmodel").write_bytes(b.spec.SerializeToString())
    found = summarize(tmp_path / "net.mlmodel")
    assert found["inputs"][0]["kind"] == "image"
    assert found["multiply_adds_by_layer"] == {"l": 384}


def test_without_measuring_nothing_is_run(costs):
    def build(b):
        b.add_inner_product("l", np.zeros((5, 16)), None, 16, 5, False, "x", "y")

    assert "multiply_adds" not in costs(build, {"x": (7, 16)}, measure=False)
