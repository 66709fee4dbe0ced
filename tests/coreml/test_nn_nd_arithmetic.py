"""Layers of neural networks that reduce, normalize and multiply, against numpy and torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

rng = np.random.default_rng(5)
X = rng.normal(size=(2, 3, 4)).astype(np.float32)


def by(function):
    return lambda x, axes, keep: function(x, axis=axes, keepdims=keep)


REDUCTIONS = [
    ("add_reduce_sum", by(np.sum)),
    ("add_reduce_prod", by(np.prod)),
    ("add_reduce_mean", by(np.mean)),
    ("add_reduce_max", by(np.max)),
    ("add_reduce_min", by(np.min)),
    ("add_reduce_l1", lambda x, a, k: np.abs(x).sum(axis=a, keepdims=k)),
    ("add_reduce_l2", lambda x, a, k: np.sqrt((x**2).sum(axis=a, keepdims=k))),
    ("add_reduce_sumsquare", lambda x, a, k: (x**2).sum(axis=a, keepdims=k)),
    ("add_reduce_logsum", lambda x, a, k: np.log(x.sum(axis=a, keepdims=k))),
    ("add_reduce_logsumexp", lambda x, a, k: np.log(np.exp(x).sum(axis=a, keepdims=k))),
]


@pytest.mark.parametrize(("method", "oracle"), REDUCTIONS)
def test_a_reduction_is_numpys_along_some_or_all_axes(run_network, method, oracle):
    x = np.abs(X) if method == "add_reduce_logsum" else X

    def build(b):
        getattr(b, method)("a", "x", "a", axes=[0, -1], keepdims=False)
        getattr(b, method)("b", "x", "b", axes=[1], keepdims=True)
        getattr(b, method)("c", "x", "c", reduce_all=True, keepdims=False)
        getattr(b, method)("d", "x", "d", reduce_all=True, keepdims=True)

    a, b, c, d = run_network(build, {"x": x}, ("a", "b", "c", "d"))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(a, oracle(wide, (0, 2), False), rtol=1e-5)
    np.testing.assert_allclose(b, oracle(wide, 1, True), rtol=1e-5)
    assert c.shape == (1,)  # a blob has one dimension at least
    np.testing.assert_allclose(c[0], oracle(wide, None, False), rtol=1e-5)
    assert d.shape == (1, 1, 1)


def test_softmax_is_taken_along_its_axis(run_network):
    y = run_network(lambda b: b.add_softmax_nd("s", "x", "y", axis=-2), {"x": X * 30})
    e = np.exp(X.astype(np.float64) * 30 - np.max(X * 30, 1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_layers_are_normalized_over_their_last_dimensions(run_network, shape):
    gamma, beta = rng.normal(size=shape), rng.normal(size=shape)
    y = run_network(
        lambda b: b.add_layer_normalization("l", "x", "y", shape, gamma, beta, eps=0.5), {"x": X}
    )
    axes = tuple(range(3 - len(shape), 3))
    centred = X - X.mean(axes, keepdims=True)
    oracle = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + 0.5) * gamma + beta
    np.testing.assert_allclose(y, oracle, rtol=1e-5, atol=1e-6)


# Shapes of both matrices, and of the product: vectors become a row or a column.
PRODUCTS = [
    ((10,), (10,), (1, 1)),
    ((4, 10), (10,), (4, 1)),
    ((10,), (10, 3), (1, 3)),
    ((10,), (2, 10, 3), (2, 1, 3)),
    ((1, 3, 4), (3, 2, 4, 5), (3, 2, 3, 5)),
    ((2, 3, 1, 3, 4), (2, 1, 2, 4, 5), (2, 3, 2, 3, 5)),
]


@pytest.mark.parametrize(("left", "right", "shape"), PRODUCTS)
def test_matrices_are_multiplied_with_numpys_broadcasting(run_network, left, right, shape):
    a, b = rng.normal(size=left), rng.normal(size=right)
    y = run_network(lambda n: n.add_batched_mat_mul("m", ["a", "b"], "y"), {"a": a, "b": b})
    assert y.shape == shape
    np.testing.assert_allclose(y, np.matmul(a, b).reshape(shape), rtol=1e-4, atol=1e-5)


def test_either_matrix_may_be_transposed(run_network):
    a, b = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 5, 4))
    y = run_network(
        lambda n: n.add_batched_mat_mul("m", ["a", "b"], "y", transpose_a=True, transpose_b=True),
        {"a": a, "b": b},
    )
    np.testing.assert_allclose(y, a.transpose(0, 2, 1) @ b.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 1, 3)])
def test_a_blob_is_multiplied_by_weights_stored_column_by_column(run_network, shape):
    weights, bias = rng.normal(size=(3, 4)), rng.normal(size=4)
    x = rng.normal(size=shape)
    y = run_network(
        lambda n: n.add_batched_mat_mul(
            "m", ["x"], "y", weight_matrix_rows=3, weight_matrix_columns=4, W=weights, bias=bias
        ),
        {"x": x},
    )
    np.testing.assert_allclose(y, x @ weights + bias, rtol=1e-4, atol=1e-5)


def test_quantized_weights_have_a_scale_for_each_column(run_network):
    codes = rng.integers(0, 256, (3, 4)).astype(np.uint8)
    scale, offset = rng.random(4), rng.random(4)
    x = rng.normal(size=(2, 3))
    y = run_network(
        lambda n: n.add_batched_mat_mul(
            "m", ["x"], "y", weight_matrix_rows=3, weight_matrix_columns=4, W=codes.tobytes(),
            is_quantized_weight=True, nbits=8, quant_scale=scale, quant_bias=offset,
        ),
        {"x": x},
    )  # fmt: skip
    np.testing.assert_allclose(y, x @ (codes * scale + offset), rtol=1e-4, atol=1e-3)


def test_dynamic_quantization_rounds_the_input_to_127_steps(run_network):
    codes = np.array([[1, 127], [-2, 4]], np.int8)
    x = np.float32([[1.0, 0.299], [-0.5, 0.25]])
    y = run_network(
        lambda n: n.add_batched_mat_mul(
            "m", ["x"], "y", weight_matrix_rows=2, weight_matrix_columns=2, W=codes.tobytes(),
            int_8_dynamic_quantize=True, is_quantized_weight=True, nbits=8,
            quant_scale=np.array([0.5]),
        ),
        {"x": x},
    )  # fmt: skip
    rounded = np.array([[127, 38], [-64, 32]]) / 127  # 0.299 * 127 is 37.97; halves to even
    np.testing.assert_allclose(y, rounded @ (codes * 0.5), rtol=1e-6)


def test_vectors_are_looked_up_in_columns_of_the_table(run_network):
    table, bias = rng.normal(size=(4, 6)).astype(np.float32), np.float32([1, 2, 3, 4])
    x = np.float32([[[0], [5]], [[2], [2]]])
    y = run_network(
        lambda n: n.add_embedding_nd(
            "e", "x", "y", vocab_size=6, embedding_size=4, W=table, b=bias
        ),
        {"x": x},
    )
    np.testing.assert_allclose(y, table.T[x[..., 0].astype(int)] + bias, rtol=1e-6)


def test_suppression_gives_the_boxes_that_were_worked_out_by_hand(run_network):
    # Boxes as (x, y, width, height): the second is half within the first (overlap 1/3), the third
    # is the first again, the fourth is alone.
    boxes = np.float32([[[2, 2, 2, 2], [3, 2, 2, 2], [2, 2, 2, 2], [9, 9, 1, 1]]])
    scores = np.float32([[[0.9, 0.1], [0.2, 0.8], [0.1, 0.7], [0.3, 0.2]]])
    names = ("boxes", "scores", "indices", "number")

    def run(**options):
        return run_network(
            lambda b: b.add_nms("n", ["b", "s"], list(names), max_boxes=3, **options),
            {"b": boxes, "s": scores},
            names,
        )

    kept, marks, indices, number = run(iou_threshold=0.5, score_threshold=0.0)
    np.testing.assert_array_equal(indices, [[0, 1, 3]])
    np.testing.assert_array_equal(kept, boxes[:, [0, 1, 3]])
    np.testing.assert_array_equal(marks, scores[:, [0, 1, 3]])
    np.testing.assert_array_equal(number, [3])
    # At 0.3 the first also suppresses the second; two places stay free.
    kept, marks, indices, number = run(iou_threshold=0.3, score_threshold=0.5)
    np.testing.assert_array_equal(indices, [[0, -1, -1]])
    np.testing.assert_array_equal(kept, [[[2, 2, 2, 2], [0] * 4, [0] * 4]])
    np.testing.assert_array_equal(marks[0, 1:], np.zeros((2, 2)))
    # By class, the second box (of the other class) stays, and suppresses nothing of the first.
    *_, indices, number = run(iou_threshold=0.3, score_threshold=0.5, per_class_suppression=True)
    np.testing.assert_array_equal(indices, [[0, 1, -1]])
    # Nothing reaches 2: the best box is given all the same.
    *_, indices, number = run(iou_threshold=0.5, score_threshold=2.0)
    np.testing.assert_array_equal(indices, [[0, -1, -1]])
    np.testing.assert_array_equal(number, [1])


def test_suppression_takes_its_limits_from_blobs_where_they_are_given(run_network):
    boxes = np.float32([[[2, 2, 2, 2], [3, 2, 2, 2]]])
    names = ("boxes", "scores", "indices", "number")
    fed = {"b": boxes, "s": np.float32([[[0.5], [0.9]]]), "o": [0.2], "t": [0.1], "m": [4.0]}
    kept, _, indices, number = run_network(
        lambda b: b.add_nms("n", list(fed), list(names), iou_threshold=0.9, max_boxes=1),
        fed,
        names,
    )
    np.testing.assert_array_equal(indices, [[1, -1, -1, -1]])
    assert kept.shape == (1, 4, 4)
    np.testing.assert_array_equal(number, [1])


ERRORS = [
    (lambda b: b.add_batched_mat_mul("m", ["x", "z"], "y"), {"x": X, "z": X},
     "layer 0 'm', batchedMatmul: matrices whose inner dimensions differ\n"
     "  got: [2, 3, 4] by [2, 3, 4], after transposing"),
    (lambda b: b.add_batched_mat_mul("m", ["x"], "y", weight_matrix_rows=2,
                                     weight_matrix_columns=1, W=np.ones((2, 1))), {"x": X},
     "layer 0 'm', batchedMatmul: the last dimension does not fit the weights\n"
     "  got: a blob of shape [2, 3, 4]\n  allowed: [..., 2]"),
    (lambda b: b.add_embedding_nd("e", "x", "y", 2, 1, np.ones((1, 2))), {"x": X},
     "layer 0 'e', embeddingND: indices of a wrong shape\n"
     "  got: [2, 3, 4]\n  allowed: [..., 1] of two or more dimensions"),
    (lambda b: b.add_embedding_nd("e", "x", "y", 2, 1, np.ones((1, 2))), {"x": [[2.0], [0.0]]},
     "layer 0 'e', embeddingND: an index outside of the vocabulary\n"
     "  got: 0 to 2\n  allowed: 0 to 1"),
    (lambda b: b.add_layer_normalization("l", "x", "y", (3,), np.ones(3), np.ones(3)), {"x": X},
     "layer 0 'l', layerNormalization: a blob whose last dimensions are not those to normalize\n"
     "  got: shape [2, 3, 4]\n  allowed: [..., 3]"),
    (lambda b: b.add_reduce_sum("r", "x", "y", axes=[1, -2]), {"x": X},
     "layer 0 'r', reduceSum: an axis is named twice\n  got: 1, 1"),
    (lambda b: b.add_nms("n", ["x", "z"], ["y", "2", "3", "4"]), {"x": X, "z": X[:, :2]},
     "layer 0 'n', NonMaximumSuppression: boxes and scores of wrong shapes\n"
     "  got: [2, 3, 4], [2, 2, 4]\n  allowed: [B, N, 4], [B, N, C]"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "fed", "message"), ERRORS)
def test_blobs_that_do_not_fit_are_told(run_network, build, fed, message):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as failure:
        run_network(build, fed)
    assert str(failure.value) == message


def test_a_reduction_without_axes_is_malformed(run_network):
    from mlbuild.coreml import ModelFileError

    with pytest.raises(ModelFileError) as failure:
        run_network(
            lambda b: (
                b.add_reduce_sum("r", "x", "y", axes=[0])
                and b.nn_spec.layers[0].reduceSum.ClearField("axes")
            ),
            {"x": X},
        )
    assert str(failure.value) == (
        "layer 0 'r', reduceSum: a reduction without axes\n  hint: reduceAll reduces along all axes"
    )
