"""Tensors without elements and without dimensions, against numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


def none_of(mb, x):
    """No row of x, by a slice that begins where it ends."""
    return mb.slice_by_index(x=x, begin=[1, 0], end=[1, 0], end_mask=[False, True])


X = {"x": np.arange(12, dtype=np.float32).reshape(3, 4)}
EMPTY = np.zeros((0, 4), np.float32)

# what it proves, opset, builder on the empty [0, 4], oracle
CASES = [
    ("elementwise", "iOS15", lambda mb, e: mb.add(x=mb.exp(x=e), y=1.0), EMPTY),
    ("a sum is zero", "iOS15", lambda mb, e: mb.reduce_sum(x=e, axes=[0]), np.zeros(4)),
    ("a product is one", "iOS15", lambda mb, e: mb.reduce_prod(x=e, axes=[0]), np.ones(4)),
    ("joined to others", "iOS15", lambda mb, e: mb.concat(values=[e, np.ones((1, 4), "f")], axis=0),
     np.ones((1, 4))),
    ("stacked", "iOS15", lambda mb, e: mb.stack(values=[e, e], axis=1), np.zeros((0, 2, 4))),
    ("multiplied", "iOS15", lambda mb, e: mb.matmul(x=e, y=np.ones((4, 2), "f")), np.zeros((0, 2))),
    ("summed over nothing", "iOS15",
     lambda mb, e: mb.matmul(x=mb.transpose(x=e, perm=[1, 0]), y=e), np.zeros((4, 4))),
    ("a linear layer", "iOS15", lambda mb, e: mb.linear(x=e, weight=np.ones((2, 4), "f")),
     np.zeros((0, 2))),
    ("softmax", "iOS15", lambda mb, e: mb.softmax(x=e, axis=-1), EMPTY),
    ("a zero takes over the empty dimension", "iOS15", lambda mb, e: mb.reshape(x=e, shape=[0, 4]),
     EMPTY),
    ("zeros align right from iOS17 on", "iOS17", lambda mb, e: mb.reshape(x=e, shape=[1, 0, 4]),
     np.zeros((1, 0, 4))),
    ("padded", "iOS15", lambda mb, e: mb.pad(x=e, pad=[1, 1, 0, 0], constant_val=2.0),
     np.full((2, 4), 2.0)),
    ("its shape", "iOS15", lambda mb, e: mb.shape(x=e), [0, 4]),
    ("where it is not zero", "iOS15", lambda mb, e: mb.non_zero(x=e), np.zeros((0, 2))),
    ("sorted", "iOS15", lambda mb, e: mb.argsort(x=e, axis=0), EMPTY),
    ("summed up", "iOS15", lambda mb, e: mb.cumsum(x=e, axis=0, exclusive=True), EMPTY),
    ("reversed", "iOS15", lambda mb, e: mb.reverse(x=e, axes=[0]), EMPTY),
    ("scattered nowhere", "iOS17",
     lambda mb, e: mb.scatter(data=e, indices=np.zeros(0, "i4"), updates=np.zeros((0, 4), "f")),
     EMPTY),
    ("a recurrent layer takes no step", "iOS15",
     lambda mb, e: mb.rnn(
         x=mb.expand_dims(x=e, axes=[1]), initial_h=np.full((1, 2), 3, "f"),
         weight_ih=np.ones((2, 4), "f"), weight_hh=np.ones((2, 2), "f"))[1], [[3.0, 3.0]]),
]  # fmt: skip


def rows(save_program, builders, opset="iOS15"):
    """What each builder makes of x, in one program, by its place."""
    from mlbuild.coreml import load

    def build(mb, x):
        made = [make(mb, x) for make in builders]
        return [mb.identity(x=value, name=f"row{i}") for i, value in enumerate(made)]

    outputs = load(save_program(build, X, opset)).predict(X)
    return [outputs[f"row{i}"] for i in range(len(builders))]


@pytest.mark.parametrize("opset", ["iOS15", "iOS17"])
def test_empty_tensors(save_program, opset):
    cases = [case for case in CASES if case[1] == opset]
    builders = [lambda mb, x, build=c[2]: build(mb, none_of(mb, x)) for c in cases]
    for (what, _, _, expected), got in zip(cases, rows(save_program, builders, opset), strict=True):
        assert got.shape == np.shape(expected), what
        np.testing.assert_array_equal(got, expected, what)


# what it proves, builder on the scalar 5, oracle
SCALARS = [
    ("arithmetic", lambda mb, s: mb.mul(x=s, y=2.0), 10.0),
    ("a reduction over nothing", lambda mb, s: mb.add(x=s, y=s), 10.0),
    ("a new dimension", lambda mb, s: mb.expand_dims(x=s, axes=[0]), [5.0]),
    ("joined like an array of one", lambda mb, s: mb.concat(values=[s, s], axis=0), [5.0, 5.0]),
    ("stacked", lambda mb, s: mb.stack(values=[s, s], axis=0), [5.0, 5.0]),
    ("cast", lambda mb, s: mb.cast(x=s, dtype="int32"), 5),
    ("chosen", lambda mb, s: mb.select(cond=True, a=s, b=mb.mul(x=s, y=0.0)), 5.0),
]


def five(mb, x):
    return mb.slice_by_index(x=x, begin=[1, 1], end=[0, 0], squeeze_mask=[True, True])


def test_tensors_without_dimensions(save_program):
    builders = [lambda mb, x, build=build: build(mb, five(mb, x)) for _, build, _ in SCALARS]
    for (what, _, expected), got in zip(SCALARS, rows(save_program, builders), strict=True):
        np.testing.assert_array_equal(np.squeeze(got), np.squeeze(expected), what)


def test_a_squeezed_dimension_begins_at_zero_where_begin_is_masked(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        return mb.slice_by_index(
            x=x, begin=[2, 1], end=[0, 3], begin_mask=[True, False], squeeze_mask=[True, False]
        )

    (got,) = load(save_program(build, X)).predict(X).values()
    np.testing.assert_array_equal(got, X["x"][0, 1:3])
