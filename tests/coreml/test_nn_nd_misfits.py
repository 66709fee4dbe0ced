"""What does not fit, or is malformed, in n-dimensional layers of neural networks."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import adding

pytestmark = pytest.mark.toolchain


def counting(*shape):
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


ERRORS = [
    (
        "add_reshape_static",
        "x",
        {"output_shape": [4, 4]},
        "layer 0 'f', reshapeStatic: a blob that cannot be reshaped to [4, 4]\n  got: shape [2, 3]",
    ),
    (
        "add_rank_preserving_reshape",
        "x",
        {"output_shape": [6]},
        "layer 0 'f', rankPreservingReshape: "
        "a blob of another number of dimensions than the shape\n"
        "  got: shape [2, 3] for [6]",
    ),
    (
        "add_flatten_to_2d",
        "x",
        {"axis": 3},
        "layer 0 'f', flattenTo2D: an axis outside of the blob\n  got: 3\n  allowed: -2 to 1",
    ),
    (
        "add_expand_dims",
        "x",
        {"axes": [0, -4]},
        "layer 0 'f', expandDims: an axis is named twice\n  got: 0, 0",
    ),
    (
        "add_squeeze",
        "x",
        {"axes": [1]},
        "layer 0 'f', squeeze: the dimensions [1] are not all 1\n  got: a blob of shape [2, 3]",
    ),
    (
        "add_transpose",
        "x",
        {"axes": [0]},
        "layer 0 'f', transpose: a blob of another number of dimensions than the parameters\n"
        "  got: shape [2, 3]\n  allowed: 1 dimensions",
    ),
    (
        "add_reverse",
        "x",
        {"reverse_dim": [True]},
        "layer 0 'f', reverse: a blob of another number of dimensions than the parameters\n"
        "  got: shape [2, 3]\n  allowed: 1 dimensions",
    ),
    (
        "add_reverse_sequence",
        ["x", "n"],
        {"batch_axis": 0, "seq_axis": 1},
        "layer 0 'f', reverseSeq: lengths that do not fit a blob of shape [2, 3]\n"
        "  got: [4, 1] for axis 1, batch axis 0\n"
        "  allowed: 2 lengths of 0 to 3, along another axis",
    ),
    (
        "add_stack",
        ["x", "n"],
        {"axis": 0},
        "layer 0 'f', stack: blobs whose shapes differ\n  got: [2, 3], [2]",
    ),
    (
        "add_concat_nd",
        ["x", "n"],
        {"axis": 0},
        "layer 0 'f', concatND: blobs whose shapes differ\n  got: [2, 3], [2]",
    ),
    (
        "add_tile",
        "x",
        {"reps": [1, 2, 3]},
        "layer 0 'f', tile: repetitions that do not fit a blob of shape [2, 3]\n  got: [1, 2, 3]",
    ),
    (
        "add_broadcast_to_static",
        "x",
        {"output_shape": [4, 3]},
        "layer 0 'f', broadcastToStatic: a blob that cannot be broadcast to [4, 3]\n"
        "  got: shape [2, 3]",
    ),
    (
        "add_sliding_windows",
        "x",
        {"axis": 1, "window_size": 4},
        "layer 0 'f', slidingWindows: windows larger than the blob\n  got: 4 of 3",
    ),
    (
        "add_slice_by_size",
        ["x", "one"],
        {"axis": 1, "size": 3},
        "layer 0 'f', sliceBySize: a slice that reaches beyond the blob\n"
        "  got: 3 from 1\n  allowed: 0 to 2",
    ),
    (
        "add_slice_by_size",
        ["x", "n"],
        {"axis": 1, "size": 3},
        "layer 0 'f', sliceBySize: the begin must be one number\n  got: a blob of shape [2]",
    ),
    (
        "add_constant_pad",
        ["x"],
        {"pad_amounts": [1, 1]},
        "layer 0 'f', constantPad: amounts that do not fit a blob of shape [2, 3]\n"
        "  got: [1, 1]\n  allowed: 4 numbers of 0 or more",
    ),
    (
        "add_constant_pad",
        ["x"],
        {"pad_amounts": [5, 5, 0, 0], "pad_to_given_output_size_mode": True},
        "layer 0 'f', constantPad: an output size is given on both sides of a dimension\n"
        "  got: 5, 5",
    ),
    (
        "add_fill_dynamic",
        "x",
        {},
        "layer 0 'f', fillDynamic: a negative dimension\n  got: [0, 1, 2, 3, 4, -5]",
    ),
    (
        "add_fill_dynamic",
        "many",
        {},
        "layer 0 'f', fillDynamic: a blob of too many dimensions\n  got: 65\n  allowed: at most 64",
    ),
    (
        "add_reshape_dynamic",
        ["x", "nan"],
        {},
        "layer 0 'f', reshapeDynamic: a whole number was expected\n  got: [nan]",
    ),
    (
        "add_range_dynamic",
        ["one"],
        {"step": 0},
        "layer 0 'f', rangeDynamic: a range without an end\n  got: 0.0 to 1.0 by 0.0",
    ),
    (
        "add_slice_static",
        "x",
        {
            "begin_ids": [0, 0],
            "end_ids": [1, 1],
            "strides": [0, 1],
            "begin_masks": [0, 0],
            "end_masks": [0, 0],
        },
        "layer 0 'f', sliceStatic: a stride of 0\n  got: [0, 1]",
    ),
    (
        "add_slice_static",
        "x",
        {
            "begin_ids": [2, 0],
            "end_ids": [1, 1],
            "strides": [1, 1],
            "begin_masks": [0, 0],
            "end_masks": [0, 0],
            "squeeze_masks": [1, 0],
        },
        "layer 0 'f', sliceStatic: an index outside of the blob\n  got: 2\n  allowed: -2 to 1",
    ),
    (
        "add_slice_dynamic",
        ["x", "one"],
        {},
        "layer 0 'f', sliceDynamic: too few begin indices for the blob\n  got: 1\n  allowed: 2",
    ),
]


@pytest.mark.parametrize(("method", "names", "options", "message"), ERRORS)
def test_what_does_not_fit_is_told_when_it_runs(run_network, method, names, options, message):
    from mlbuild.coreml import ExecutionError

    x = counting(2, 3)
    x[1, 2] = -5
    fed = {"x": x, "n": [4.0, 1.0], "one": [1.0], "nan": [np.nan], "many": np.ones(65)}
    with pytest.raises(ExecutionError) as failure:
        run_network(adding(method, names, options), fed)
    assert str(failure.value) == message


def keep_one_input(layer):
    del layer.input[1:]


def shorten_masks(layer):
    del layer.sliceStatic.endMasks[1:]


def drop_sizes(layer):
    layer.splitND.numSplits = 3


def repeat_axis(layer):
    layer.transpose.axes[0] = 1


BROKEN = [
    (
        "add_stack",
        ["x", "x"],
        {"axis": 0},
        keep_one_input,
        "layer 0 'f', stack: a layer with a wrong number of inputs\n  got: 1\n  allowed: 2 or more",
    ),
    (
        "add_get_shape",
        "x",
        {},
        lambda layer: layer.output.append("z"),
        "layer 0 'f', getShape: a layer with a wrong number of outputs\n  got: 2\n  allowed: 1",
    ),
    (
        "add_slice_static",
        "x",
        {
            "begin_ids": [0, 0],
            "end_ids": [1, 1],
            "strides": [1, 1],
            "begin_masks": [0, 0],
            "end_masks": [0, 0],
        },
        shorten_masks,
        "layer 0 'f', sliceStatic: slices whose fields differ in length\n  got: 2, 2, 2, 2, 1, 0",
    ),
    (
        "add_transpose",
        "x",
        {"axes": [0, 1]},
        repeat_axis,
        "layer 0 'f', transpose: axes that are no permutation\n"
        "  got: [1, 1]\n  allowed: each of 0 to 1 once",
    ),
    (
        "add_tile",
        "x",
        {"reps": [1]},
        lambda layer: layer.tile.ClearField("reps"),
        "layer 0 'f', tile: no repetitions are given",
    ),
    (
        "add_sliding_windows",
        "x",
        {"axis": 1, "window_size": 0},
        None,
        "layer 0 'f', slidingWindows: windows without a size or step\n  got: size 0, step 1",
    ),
]


@pytest.mark.parametrize(("method", "names", "options", "change", "message"), BROKEN)
def test_a_malformed_layer_is_told_when_the_model_is_opened(
    run_network, method, names, options, change, message
):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as failure:
        run_network(adding(method, names, options, change), {"x": counting(2, 3)})
    assert str(failure.value) == message


def test_a_split_that_does_not_add_up_is_told(run_network):
    from mlbuild.coreml import ExecutionError, ModelFileError

    def build(change, **how):
        def layers(b):
            b.add_split_nd("f", "x", ["a", "b"], axis=0, **how)
            change(b.nn_spec.layers[0])

        return layers

    with pytest.raises(ExecutionError) as failure:
        run_network(
            build(lambda layer: None, split_sizes=[1, 1]), {"x": counting(3, 2)}, ("a", "b")
        )
    assert str(failure.value) == (
        "layer 0 'f', splitND: a dimension of 3 cannot be split so\n  got: [1, 1]"
    )
    with pytest.raises(ModelFileError) as failure:
        run_network(build(drop_sizes, num_splits=2), {"x": counting(3, 2)}, ("a", "b"))
    assert str(failure.value) == (
        "layer 0 'f', splitND: as many parts as outputs were expected\n  got: 3 parts, 2 outputs"
    )


HUGE = [
    ("add_fill_static", None, {"output_shape": [1 << 62, 0]}, "fillStatic"),
    ("add_fill_static", None, {"output_shape": [1 << 20, 1 << 20]}, "fillStatic"),
    ("add_tile", "x", {"reps": [1 << 20, 1 << 20]}, "tile"),
    ("add_broadcast_to_static", "one", {"output_shape": [1 << 20, 1 << 20]}, "broadcastToStatic"),
    ("add_constant_pad", ["x"], {"pad_amounts": [1 << 20, 0, 0, 1 << 20]}, "constantPad"),
    ("add_range_dynamic", ["far"], {}, "rangeDynamic"),
    (
        "add_random_uniform_static",
        None,
        {"output_shape": [1 << 20, 1 << 20]},
        "randomUniformStatic",
    ),
    ("add_one_hot", ["x"], {"one_hot_vector_size": 1 << 40}, "oneHot"),
]


@pytest.mark.parametrize(("method", "names", "options", "kind"), HUGE)
def test_a_size_that_no_machine_holds_is_refused_before_it_is_made(
    run_network, method, names, options, kind
):
    from mlbuild.coreml import ExecutionError

    fed = {"x": counting(2, 3), "one": [1.0], "far": [1e12]}
    with pytest.raises(ExecutionError) as failure:
        run_network(adding(method, names, options), fed)
    first = str(failure.value).split("\n")[0]
    assert first == f"layer 0 'f', {kind}: a value of a size that this machine cannot hold"
