"""Layers of neural networks that pick, write, sort and mark by index, against numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

rng = np.random.default_rng(4)
X = rng.normal(size=(4, 3, 5)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_slices_are_gathered_at_indices_that_may_be_negative(run_network, axis):
    indices = np.float32([[0, -1, 2], [1, 1, -3]])
    y = run_network(lambda b: b.add_gather("g", ["x", "i"], "y", axis=axis), {"x": X, "i": indices})
    np.testing.assert_array_equal(y, np.take(X, indices.astype(int), axis))


def test_one_index_into_a_vector_gives_a_blob_of_one_dimension(run_network):
    y = run_network(
        lambda b: (
            b.add_squeeze("s", "i", "j", squeeze_all=True),
            b.add_gather("g", ["x", "j"], "y"),
        ),
        {"x": X[0, 0], "i": [[3.0]]},
    )
    np.testing.assert_array_equal(y, X[0, 0, 3:4])


@pytest.mark.parametrize("axis", [0, -2, 2])
def test_elements_are_gathered_along_an_axis_as_numpy_takes_them(run_network, axis):
    shape = list(X.shape)
    shape[axis] = 2
    indices = rng.integers(-3, 3, shape).astype(np.float32)
    y = run_network(
        lambda b: b.add_gather_along_axis("g", ["x", "i"], "y", axis=axis), {"x": X, "i": indices}
    )
    np.testing.assert_array_equal(y, np.take_along_axis(X, indices.astype(int), axis))


def test_slices_are_gathered_at_places_of_one_or_more_coordinates(run_network):
    pairs = np.float32([[[0, 1], [-1, -2]]])
    triples = np.float32([[1, 2, 3], [0, 0, -1]])
    y, z = run_network(
        lambda b: (b.add_gather_nd("p", ["x", "p"], "y"), b.add_gather_nd("t", ["x", "t"], "z")),
        {"x": X, "p": pairs, "t": triples},
        ("y", "z"),
    )
    np.testing.assert_array_equal(y, [[X[0, 1], X[3, 1]]])
    np.testing.assert_array_equal(z, [X[1, 2, 3], X[0, 0, 4]])


APPLY = {
    "UPDATE": lambda old, new: new,
    "ADD": lambda old, new: old + new,
    "SUB": lambda old, new: old - new,
    "MUL": lambda old, new: old * new,
    "DIV": lambda old, new: old / new,
    "MAX": np.maximum,
    "MIN": np.minimum,
}


@pytest.mark.parametrize("mode", APPLY)
def test_slices_are_written_one_after_the_other(run_network, mode):
    indices = np.float32([[1, 0], [1, -1]])  # 1 twice: updates accumulate, the last one stays
    updates = rng.normal(size=(4, 2, 2, 5)).astype(np.float32) + 3
    y = run_network(
        lambda b: b.add_scatter("s", ["x", "i", "u"], "y", axis=1, mode=mode),
        {"x": X, "i": indices, "u": updates},
    )
    oracle = X.copy()
    for place in np.ndindex(2, 2):
        at = int(indices[place])
        oracle[:, at] = APPLY[mode](oracle[:, at], updates[:, *place])
    np.testing.assert_allclose(y, oracle, rtol=1e-5)


@pytest.mark.parametrize("mode", APPLY)
def test_elements_are_written_along_an_axis_one_after_the_other(run_network, mode):
    indices = np.float32([[0, -1, 1], [0, 2, 1]])
    updates = rng.normal(size=(2, 3)).astype(np.float32) + 3
    x = X[:, :, 0]
    y = run_network(
        lambda b: b.add_scatter_along_axis("s", ["x", "i", "u"], "y", axis=-2, mode=mode),
        {"x": x, "i": indices, "u": updates},
    )
    oracle = x.copy()
    for row, column in np.ndindex(2, 3):
        at = int(indices[row, column]), column
        oracle[at] = APPLY[mode](oracle[at], updates[row, column])
    np.testing.assert_allclose(y, oracle, rtol=1e-5)


@pytest.mark.parametrize("mode", APPLY)
def test_slices_are_written_at_places_of_two_coordinates(run_network, mode):
    indices = np.float32([[1, 2], [0, 0], [1, -1]])  # the first and the last are one place
    updates = rng.normal(size=(3, 5)).astype(np.float32) + 3
    y = run_network(
        lambda b: b.add_scatter_nd("s", ["x", "i", "u"], "y", mode=mode),
        {"x": X, "i": indices, "u": updates},
    )
    oracle = X.copy()
    for n, (row, column) in enumerate(indices.astype(int)):
        oracle[row, column] = APPLY[mode](oracle[row, column], updates[n])
    np.testing.assert_allclose(y, oracle, rtol=1e-5)


def test_what_would_be_written_outside_of_the_container_is_dropped(run_network):
    y = run_network(
        lambda b: b.add_scatter("s", ["x", "i", "u"], "y", mode="UPDATE"),
        {"x": [1.0, 2.0], "i": [2.0, 0.0, -3.0], "u": [10.0, 20.0, 30.0]},
    )
    np.testing.assert_array_equal(y, [20, 2])


def test_the_container_is_not_changed_for_those_who_use_it_after(run_network):
    y, z = run_network(
        lambda b: (
            b.add_scatter("s", ["x", "i", "u"], "y", mode="UPDATE"),
            b.add_clip("c", "x", "z", min_value=-100, max_value=100),
        ),
        {"x": [1.0, 2.0], "i": [0.0], "u": [10.0]},
        ("y", "z"),
    )
    np.testing.assert_array_equal(y, [10, 2])
    np.testing.assert_array_equal(z, [1, 2])


@pytest.mark.parametrize(("bottom", "axis"), [(False, 1), (True, -1), (False, 0)])
def test_the_k_largest_or_smallest_come_in_order_with_their_indices(run_network, bottom, axis):
    def build(b):
        b.add_topk("f", ["x"], ["v", "i"], k=3, axis=axis, use_bottom_k=bottom)
        b.add_topk("d", ["x", "k"], ["w", "j"], axis=axis, use_bottom_k=bottom)

    v, i, w, j = run_network(build, {"x": X, "k": [2.0]}, ("v", "i", "w", "j"))
    order = np.argsort(X if bottom else -X, axis, kind="stable")
    np.testing.assert_array_equal(i, np.take(order, range(3), axis))
    np.testing.assert_array_equal(v, np.take_along_axis(X, i.astype(int), axis))
    np.testing.assert_array_equal(j, np.take(i, range(2), axis))
    np.testing.assert_array_equal(w, np.take(v, range(2), axis))


def test_of_equal_elements_the_first_comes_first(run_network):
    x = np.float32([1, 3, 3, 1, 3])

    def build(b):
        b.add_topk("f", ["x"], ["v", "i"], k=4, axis=0)
        b.add_argsort("s", "x", "s", axis=0)
        b.add_argsort("d", "x", "d", axis=0, descending=True)
        b.add_argmax("m", "x", "m", axis=0)
        b.add_argmin("n", "x", "n", axis=0)

    i, s, d, m, n = run_network(build, {"x": x}, ("i", "s", "d", "m", "n"))
    np.testing.assert_array_equal(i, [1, 2, 4, 0])
    np.testing.assert_array_equal(s, [0, 3, 1, 2, 4])
    np.testing.assert_array_equal(d, [1, 2, 4, 0, 3])
    np.testing.assert_array_equal([m, n], [[1], [0]])


@pytest.mark.parametrize(
    ("method", "oracle"), [("add_argmax", np.argmax), ("add_argmin", np.argmin)]
)
def test_the_dimension_of_an_extremum_stays_unless_it_is_removed(run_network, method, oracle):
    def build(b):
        getattr(b, method)("k", "x", "y", axis=-2, keepdims=True)
        getattr(b, method)("r", "x", "z", axis=1, keepdims=False)

    y, z = run_network(build, {"x": X}, ("y", "z"))
    np.testing.assert_array_equal(y, oracle(X, 1, keepdims=True))
    np.testing.assert_array_equal(z, oracle(X, 1))


# The specification's example: excludeFinalSum, reverse, result.
SUMS = [
    (False, False, [4, 10, 17]),
    (True, False, [0, 4, 10]),
    (False, True, [17, 13, 7]),
    (True, True, [13, 7, 0]),
]


@pytest.mark.parametrize(("exclusive", "reverse", "result"), SUMS)
def test_running_sums_are_those_of_the_specification(run_network, exclusive, reverse, result):
    options = {"exclusive": exclusive, "reverse": reverse}

    def build(b):
        b.add_cumsum("f", ["x"], "y", axis=1, **options)
        b.add_cumsum("d", ["x", "axis"], "z", **options)

    y, z = run_network(build, {"x": np.float32([[4, 6, 7], [1, 0, 0]]), "axis": [-1.0]}, ("y", "z"))
    np.testing.assert_array_equal(y[0], result)
    np.testing.assert_array_equal(z, y)


def test_a_mark_stands_at_the_index_along_a_new_axis_and_nowhere_if_outside(run_network):
    # The specification's examples.
    def build(b):
        b.add_one_hot("f", ["x"], "y", one_hot_vector_size=4, axis=-1, on_value=5, off_value=-1)
        b.add_one_hot("d", ["x", "n"], "z", axis=0)

    y, z = run_network(build, {"x": [2.0, -1.0, 0.0], "n": [3.0]}, ("y", "z"))
    np.testing.assert_array_equal(y, [[-1, -1, 5, -1], [-1, -1, -1, -1], [5, -1, -1, -1]])
    np.testing.assert_array_equal(z, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_writing_is_differentiable_in_container_and_updates():
    from mlbuild.coreml.nn.layer import Given, builders
    from mlbuild.coreml.protos import model_proto

    network = model_proto().Model().neuralNetwork
    indices = torch.tensor([[0, 1, 1], [2, 1, 0]])
    for mode in range(7):
        message = network.layers.add(input=["x", "i", "u"], output=["y"])
        message.scatterAlongAxis.axis, message.scatterAlongAxis.mode = 0, mode
        run = builders()["scatterAlongAxis"](
            Given(message, message.scatterAlongAxis, "s", None, None)
        )
        x = torch.rand(3, 3, dtype=torch.float64) + 1
        updates = torch.rand(2, 3, dtype=torch.float64) + 3
        x.requires_grad_(), updates.requires_grad_()
        assert torch.autograd.gradcheck(lambda a, b, run=run: run(a, indices, b), (x, updates))


ERRORS = [
    (lambda b: b.add_gather("g", ["x", "i"], "y"), {"x": [1.0, 2.0], "i": [0.0, 2.0]},
     "layer 0 'g', gather: an index outside of the blob\n  got: 0 to 2\n  allowed: -2 to 1"),
    (lambda b: b.add_gather_nd("g", ["x", "i"], "y"), {"x": [1.0, 2.0], "i": [[0.0, 0.0]]},
     "layer 0 'g', gatherND: indices with more coordinates than the blob has dimensions\n"
     "  got: [1, 2] for [2]"),
    (lambda b: b.add_gather_along_axis("g", ["x", "i"], "y"),
     {"x": np.ones((2, 3)), "i": np.ones((2, 2))},
     "layer 0 'g', gatherAlongAxis: indices whose shape differs elsewhere than along the axis\n"
     "  got: [2, 2] for [2, 3], axis 0"),
    (lambda b: b.add_scatter("s", ["x", "i", "u"], "y"),
     {"x": [1.0, 2.0], "i": [0.0], "u": [1.0, 2.0]},
     "layer 0 's', scatter: container, indices and updates whose shapes do not fit\n"
     "  got: [2], [1], [2]"),
    (lambda b: b.add_scatter_nd("s", ["x", "i", "u"], "y"),
     {"x": [1.0, 2.0], "i": [[0.0]], "u": [[1.0]]},
     "layer 0 's', scatterND: container, indices and updates whose shapes do not fit\n"
     "  got: [2], [1, 1], [1, 1]"),
    (lambda b: b.add_scatter_along_axis("s", ["x", "i", "u"], "y"),
     {"x": np.ones((2, 3)), "i": np.ones((1, 2)), "u": np.ones((1, 2))},
     "layer 0 's', scatterAlongAxis: container, indices and updates whose shapes do not fit\n"
     "  got: [2, 3], [1, 2], [1, 2]"),
    (lambda b: b.add_topk("t", ["x"], ["y", "i"], k=3), {"x": [1.0, 2.0]},
     "layer 0 't', topK: K does not fit the dimension\n  got: 3\n  allowed: 1 to 2"),
    (lambda b: b.add_topk("t", ["x", "k"], ["y", "i"]), {"x": [1.0, 2.0], "k": [1.0, 1.0]},
     "layer 0 't', topK: K must be one number\n  got: a blob of shape [2]"),
    (lambda b: b.add_cumsum("c", ["x"], "y", axis=1), {"x": [1.0, 2.0]},
     "layer 0 'c', cumSum: an axis outside of the blob\n  got: 1\n  allowed: -1 to 0"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "fed", "message"), ERRORS)
def test_indices_that_do_not_fit_are_told(run_network, build, fed, message):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as failure:
        run_network(build, fed)
    assert str(failure.value) == message
