"""Layers of neural networks that reshape, reorder, join and cut, against numpy."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import adding

pytestmark = pytest.mark.toolchain


def counting(*shape):
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


# What a layer does to one blob: builder's method, options, shape, oracle. Shapes are the
# specification's examples where it has some.
ONE_BLOB = [
    ("add_reshape_static", {"output_shape": [3, -1]}, (2, 6), lambda x: x.reshape(3, 4)),
    (
        "add_rank_preserving_reshape",
        {"output_shape": [5, -1]},
        (20, 10),
        lambda x: x.reshape(5, 40),
    ),
    (
        "add_rank_preserving_reshape",
        {"output_shape": [25, 0, -1]},
        (10, 3, 5),
        lambda x: x.reshape(25, 3, 2),
    ),
    ("add_flatten_to_2d", {"axis": -1}, (3,), lambda x: x.reshape(1, 3)),
    ("add_flatten_to_2d", {"axis": 1}, (3,), lambda x: x.reshape(3, 1)),
    ("add_flatten_to_2d", {"axis": 0}, (5, 2), lambda x: x.reshape(1, 10)),
    ("add_flatten_to_2d", {"axis": -2}, (5, 5, 3), lambda x: x.reshape(5, 15)),
    ("add_expand_dims", {"axes": [0, 2]}, (10, 5), lambda x: x.reshape(1, 10, 1, 5)),
    ("add_expand_dims", {"axes": [-2, -1]}, (10, 5), lambda x: x.reshape(10, 5, 1, 1)),
    ("add_expand_dims", {"axes": [1, 0, -2]}, (10,), lambda x: x.reshape(1, 1, 1, 10)),
    ("add_squeeze", {"axes": [0, -1]}, (1, 10, 5, 1), lambda x: x.reshape(10, 5)),
    ("add_squeeze", {"axes": [0]}, (1,), lambda x: x),
    ("add_squeeze", {"squeeze_all": True}, (1, 3, 1), lambda x: x.reshape(3)),
    ("add_squeeze", {"squeeze_all": True}, (1, 1), lambda x: x.reshape(1)),
    ("add_transpose", {"axes": [3, 1, 2, 0]}, (2, 3, 4, 5), lambda x: x.transpose(3, 1, 2, 0)),
    ("add_reverse", {"reverse_dim": [True, False, True]}, (2, 3, 4), lambda x: x[::-1, :, ::-1]),
    ("add_tile", {"reps": [1, 2, 6]}, (2, 4, 2), lambda x: np.tile(x, (1, 2, 6))),
    ("add_tile", {"reps": [6]}, (2, 4, 2), lambda x: np.tile(x, 6)),
    ("add_get_shape", {}, (2, 3, 4), lambda x: np.float32([2, 3, 4])),
    ("add_fill_like", {"value": 2.5}, (2, 3), lambda x: np.full((2, 3), 2.5)),
    (
        "add_broadcast_to_static",
        {"output_shape": [2, 3, 4]},
        (3, 1),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
    ),
    (
        "add_sliding_windows",
        {"axis": 1, "window_size": 3, "step": 2},
        (2, 7, 2),
        lambda x: np.stack([x[:, i : i + 3] for i in (0, 2, 4)], 1),
    ),
    (
        "add_sliding_windows",
        {"axis": -1, "window_size": 2, "step": 3},
        (6,),
        lambda x: np.float32([[0, 1], [3, 4]]),
    ),
    (
        "add_constant_pad",
        {"pad_amounts": [0, 1, 4, 0], "value": 7},
        (20, 10),
        lambda x: np.pad(x, [(0, 1), (4, 0)], constant_values=7),
    ),
    (
        "add_constant_pad",
        {"pad_amounts": [0, 21, 14, 0], "pad_to_given_output_size_mode": True},
        (20, 10),
        lambda x: np.pad(x, [(0, 1), (4, 0)]),
    ),
    (
        "add_constant_pad",
        {"pad_amounts": [0, 0, 3, 0], "pad_to_given_output_size_mode": True},
        (2, 5),
        lambda x: x,
    ),
]


@pytest.mark.parametrize(("method", "options", "shape", "oracle"), ONE_BLOB)
def test_what_becomes_of_one_blob(run_network, method, options, shape, oracle):
    x = counting(*shape)
    names = ["x"] if method == "add_constant_pad" else "x"
    y = run_network(adding(method, names, options), {"x": x})
    assert y.shape == oracle(x).shape
    np.testing.assert_array_equal(y, oracle(x))


def test_shapes_come_from_another_blob_or_its_values(run_network):
    x = counting(2, 6)
    shape = np.float32([3, -1])
    like = np.zeros((4, 3))
    y, z = run_network(
        lambda b: (
            b.add_reshape_dynamic("r", ["x", "shape"], "y"),
            b.add_reshape_like("l", ["x", "like"], "z"),
        ),
        {"x": x, "shape": shape, "like": like},
        ("y", "z"),
    )
    np.testing.assert_array_equal(y, x.reshape(3, 4))
    np.testing.assert_array_equal(z, x.reshape(4, 3))


def test_blobs_are_broadcast_and_filled_to_shapes_that_come_from_blobs(run_network):
    x = counting(3, 1)
    y, z, w = run_network(
        lambda b: (
            b.add_broadcast_to_like("l", ["x", "like"], "y"),
            b.add_broadcast_to_dynamic("d", ["x", "shape"], "z"),
            b.add_fill_dynamic("f", "shape", "w", value=1.5),
        ),
        {"x": x, "like": np.zeros((3, 4)), "shape": np.float32([2, 3, 4])},
        ("y", "z", "w"),
    )
    np.testing.assert_array_equal(y, np.broadcast_to(x, (3, 4)))
    np.testing.assert_array_equal(z, np.broadcast_to(x, (2, 3, 4)))
    np.testing.assert_array_equal(w, np.full((2, 3, 4), 1.5))


def test_constants_are_loaded_and_filled(run_network):
    values = counting(2, 1, 3)
    y, z = run_network(
        lambda b: (
            b.add_load_constant_nd("c", "y", constant_value=values, shape=values.shape),
            b.add_fill_static("f", "z", output_shape=[2, 2], value=-1),
        ),
        {},
        ("y", "z"),
    )
    np.testing.assert_array_equal(y, values)
    np.testing.assert_array_equal(z, -np.ones((2, 2)))


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [
        (-10.4, 23, 12.2),
        (5, 8, 2),
        (5, 8, 98),
        (10, 5, -0.6),
        (3, 1, 1),  # empty
        (0, 0.3, 0.1),  # three in float32, four in double of the same float32 numbers
    ],
)
def test_a_range_is_numpys_whether_its_ends_are_fixed_or_blobs(run_network, start, end, step):
    def build(b):
        b.add_range_static("s", "fixed", end=end, start=start, step=step)
        b.add_range_dynamic("d1", ["end"], "one", start=start, step=step)
        b.add_range_dynamic("d2", ["end", "start"], "two", step=step)
        b.add_range_dynamic("d3", ["end", "start", "step"], "three")

    found = run_network(
        build,
        {"end": np.float32([end]), "start": np.float32([start]), "step": np.float32([step])},
        ("fixed", "one", "two", "three"),
    )
    for y in found:
        np.testing.assert_allclose(y, np.arange(start, end, step), rtol=1e-6)


def test_repetitions_and_amounts_of_padding_come_from_blobs(run_network):
    x = counting(2, 3)
    y, z = run_network(
        lambda b: (
            b.add_tile("t", ["x", "reps"], "y"),
            b.add_constant_pad("p", ["x", "amounts"], "z", value=9),
        ),
        {"x": x, "reps": np.float32([2]), "amounts": np.float32([1, 0, 0, 2])},
        ("y", "z"),
    )
    np.testing.assert_array_equal(y, np.tile(x, 2))
    np.testing.assert_array_equal(z, np.pad(x, [(1, 0), (0, 2)], constant_values=9))


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_blobs_are_stacked_along_a_new_axis(run_network, axis):
    a, b, c = counting(2, 3), counting(2, 3) + 10, counting(2, 3) + 20
    y = run_network(
        lambda n: n.add_stack("s", ["a", "b", "c"], "y", axis=axis), {"a": a, "b": b, "c": c}
    )
    np.testing.assert_array_equal(y, np.stack([a, b, c], axis))


def test_blobs_are_joined_one_behind_the_other_or_in_turn(run_network):
    # The specification's example.
    a, b = np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([[7, 8], [9, 10], [11, 12]])

    def build(n):
        n.add_concat_nd("c", ["a", "b"], "y", axis=-2)
        n.add_concat_nd("i", ["a", "b"], "z", axis=0, interleave=True)

    y, z = run_network(build, {"a": a, "b": b}, ("y", "z"))
    np.testing.assert_array_equal(y, np.concatenate([a, b]))
    np.testing.assert_array_equal(z, [[1, 2], [7, 8], [3, 4], [9, 10], [5, 6], [11, 12]])


def test_a_blob_is_split_as_equally_as_can_be_or_by_sizes(run_network):
    x = counting(6, 2)

    def build(n):
        n.add_split_nd("e", "x", ["a", "b", "c"], axis=0, num_splits=3)
        n.add_split_nd("u", "x", ["f", "g", "h", "i"], axis=0, num_splits=4)
        n.add_split_nd("s", "x", ["d", "e"], axis=-2, split_sizes=[5, 1])

    a, b, c, d, e, *uneven = run_network(build, {"x": x}, tuple("abcdefghi"))
    for part, oracle in zip((a, b, c), np.split(x, 3), strict=True):
        np.testing.assert_array_equal(part, oracle)
    for part, oracle in zip(uneven, np.array_split(x, 4), strict=True):
        np.testing.assert_array_equal(part, oracle)
    np.testing.assert_array_equal(d, x[:5])
    np.testing.assert_array_equal(e, x[5:])


# begin, end, strides, begin masks, end masks, squeeze masks, and the same in numpy's words.
SLICES = [
    ([1, 2, 3], [3, -3, 2], [2, 2, 2], [1, 0, 1], [0, 1, 1], [0, 0, 0], np.s_[:3:2, 2::2, ::2]),
    ([1, 2, 3], [3, -3, 2], [2, 2, 2], [1, 0, 1], [0, 1, 1], [0, 1, 0], np.s_[:3:2, 2, ::2]),
    (
        [-1, 4, 0],
        [0, 0, 9],
        [-2, -1, 1],
        [0, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
        np.s_[-1::-2, 4:0:-1, 0:9],
    ),
    ([-2, -1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0], [1, 1, 1], None),
    ([3, 0, 0], [1, 5, 5], [1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], np.s_[3:1]),  # empty
]


@pytest.mark.parametrize("row", SLICES)
def test_slices_are_pythons_whether_fixed_or_from_blobs(run_network, row):
    begin, end, strides, begins, ends, squeezed, words = row
    x = counting(5, 5, 5)
    oracle = x[words] if words is not None else x[-2, -1, 0].reshape(1)
    names = ["x", "begin", "end", "strides", "begins", "ends", "squeezed"]
    masks = {"begin_masks": begins, "end_masks": ends, "squeeze_masks": squeezed}

    def build(b):
        b.add_slice_static("s", "x", "fixed", begin, end, strides, **masks)
        b.add_slice_dynamic("d2", names[:2], "two", end, strides, **masks)
        b.add_slice_dynamic("d7", names, "seven")

    fed = dict(zip(names, [x, begin, end, strides, begins, ends, squeezed], strict=True))
    fed = {name: np.array(value, np.float32) for name, value in fed.items()}
    for y in run_network(build, fed, ("fixed", "two", "seven")):
        assert y.shape == oracle.shape
        np.testing.assert_array_equal(y, oracle)


def test_a_slice_of_single_numbers_has_no_dimension_until_one_is_added(run_network):
    # coremltools 9.0, passes/tests/test_passes.py, TestRank0ExpandDimsSwap: [1], not [1, 1].
    def build(b):
        cut = [[0], [1], [1]]
        masks = {"begin_masks": [False], "end_masks": [False], "squeeze_masks": [True]}
        b.add_slice_static("s", "x", "number", *cut, **masks)
        b.add_expand_dims("e", "number", "vector", axes=[0])

    given = np.float32([7.0])
    vector = run_network(build, {"x": given}, ("vector",))
    assert vector.shape == (1,)
    np.testing.assert_array_equal(vector, given)


def test_a_slice_by_size_begins_where_a_blob_says(run_network):
    x = counting(2, 5, 3)
    y = run_network(
        lambda b: b.add_slice_by_size("s", ["x", "begin"], "y", axis=1, size=2),
        {"x": x, "begin": np.float32([3])},
    )
    np.testing.assert_array_equal(y, x[:, 3:5])


def test_sequences_are_reversed_up_to_their_lengths(run_network):
    # The specification's second example.
    x = counting(2, 3, 2)
    y = run_network(
        lambda b: b.add_reverse_sequence("r", ["x", "n"], "y", batch_axis=0, seq_axis=1),
        {"x": x, "n": np.float32([2, 3])},
    )
    np.testing.assert_array_equal(y, [[[2, 3], [0, 1], [4, 5]], [[10, 11], [8, 9], [6, 7]]])


def test_a_number_without_dimensions_is_joined_as_a_blob_of_one(run_network):
    def build(b):
        b.add_slice_static("pick", "x", "one", [1], [2], [1], [False], [False], [True])
        b.add_load_constant_nd("c", "c", constant_value=np.float32([7]), shape=(1,))
        b.add_concat_nd("join", ["one", "c"], "y", axis=0)

    np.testing.assert_array_equal(run_network(build, {"x": [1.0, 2.0, 3.0]}), [2.0, 7.0])
