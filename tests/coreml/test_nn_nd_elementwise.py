"""Layers of neural networks that compute element by element, against numpy."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

A = np.array([[-1.5, -0.5, 0.0], [0.5, 2.5, 0.25]], np.float32)
B = np.array([[2.0], [-3.0]], np.float32)


def erf(x):
    return np.vectorize(math.erf)(x)


# The first is the builder's method, the second the oracle, the third what is fed.
UNARY = [
    ("add_ceil", np.ceil, A),
    ("add_floor", np.floor, A),
    ("add_sign", np.sign, A),
    ("add_round", np.round, A),  # 0.5 to 0, 2.5 to 2: halves to even
    ("add_exp2", np.exp2, A),
    ("add_sin", np.sin, A),
    ("add_cos", np.cos, A),
    ("add_tan", np.tan, A),
    ("add_asin", np.arcsin, A / 3),
    ("add_acos", np.arccos, A / 3),
    ("add_atan", np.arctan, A),
    ("add_sinh", np.sinh, A),
    ("add_cosh", np.cosh, A),
    ("add_tanh", np.tanh, A),
    ("add_asinh", np.arcsinh, A),
    ("add_acosh", np.arccosh, A + 3),
    ("add_atanh", np.arctanh, A / 3),
    ("add_erf", erf, A),
]


@pytest.mark.parametrize(("method", "oracle", "x"), UNARY, ids=[row[0] for row in UNARY])
def test_a_function_of_one_blob_is_numpys(run_network, method, oracle, x):
    y = run_network(lambda b: getattr(b, method)("f", "x", "y"), {"x": x})
    np.testing.assert_allclose(y, oracle(x.astype(np.float64)), rtol=2e-6, atol=1e-6)


def test_a_blob_is_clipped_to_both_bounds(run_network):
    y = run_network(lambda b: b.add_clip("c", "x", "y", min_value=-1, max_value=0.25), {"x": A})
    np.testing.assert_array_equal(y, [[-1, -0.5, 0], [0.25, 0.25, 0.25]])


def test_a_clamped_relu_scales_what_is_negative_and_cuts_both_sides_at_beta(run_network):
    x = np.array([-2.0, -1.0, 0.0, 1.0, 5.0])

    def run(alpha):
        return run_network(
            lambda b: b.add_clamped_relu("c", "x", "y", alpha=alpha, beta=3.0), {"x": x}
        )

    np.testing.assert_array_equal(run(0.5), [-1, -0.5, 0, 1, 3])
    np.testing.assert_array_equal(run(-2.0), [3, 2, 0, 1, 3])  # min(beta, alpha x) below zero too


@pytest.mark.parametrize(
    ("mode", "oracle"),
    [
        ("EXACT", lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))),
        (
            "TANH_APPROXIMATION",
            lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        ),
        ("SIGMOID_APPROXIMATION", lambda x: x / (1 + np.exp(-1.702 * x))),
    ],
)
def test_each_mode_of_gelu_is_its_formula(run_network, mode, oracle):
    y = run_network(lambda b: b.add_gelu("g", "x", "y", mode=mode), {"x": A})
    np.testing.assert_allclose(y, oracle(A.astype(np.float64)), rtol=1e-5, atol=1e-7)


BINARY = [
    ("add_add_broadcastable", {}, np.add),
    ("add_subtract_broadcastable", {}, np.subtract),
    ("add_multiply_broadcastable", {}, np.multiply),
    ("add_divide_broadcastable", {}, np.divide),
    ("add_floor_div_broadcastable", {}, np.floor_divide),
    ("add_mod_broadcastable", {}, np.mod),  # the sign of the divisor: -0.5 mod 2 is 1.5
    ("add_max_broadcastable", {}, np.maximum),
    ("add_min_broadcastable", {}, np.minimum),
    ("add_greater_than", {}, np.greater),
    ("add_greater_than", {"use_greater_than_equal": True}, np.greater_equal),
    ("add_less_than", {}, np.less),
    ("add_less_than", {"use_less_than_equal": True}, np.less_equal),
    ("add_equal", {}, np.equal),
    ("add_not_equal", {}, np.not_equal),
    ("add_logical", {"mode": "AND"}, np.logical_and),
    ("add_logical", {"mode": "OR"}, np.logical_or),
    ("add_logical", {"mode": "XOR"}, np.logical_xor),
]


@pytest.mark.parametrize(("method", "options", "oracle"), BINARY)
def test_a_function_of_two_blobs_is_numpys_with_its_broadcasting(
    run_network, method, options, oracle
):
    for a, b in [(A, B), (B, A), (A, np.float32([0.5])), (A, np.float32([0.5, 2.5, -1]))]:
        if oracle in (np.divide, np.mod, np.floor_divide):
            b = np.where(b == 0, 1, b)
        y = run_network(
            lambda n: getattr(n, method)("f", ["a", "b"], "y", **options), {"a": a, "b": b}
        )
        assert y.shape == np.broadcast_shapes(a.shape, b.shape)
        np.testing.assert_allclose(y, oracle(a, b).astype(np.float32), rtol=1e-6)


def test_a_power_is_numpys(run_network):
    y = run_network(
        lambda b: b.add_pow_broadcastable("p", ["a", "b"], "y"), {"a": np.abs(A) + 1, "b": B}
    )
    np.testing.assert_allclose(y, (np.abs(A) + 1) ** B, rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "oracle"), [row for row in BINARY if row[2] in (np.greater, np.less)]
)
def test_a_single_blob_is_compared_with_alpha(run_network, method, options, oracle):
    y = run_network(lambda b: getattr(b, method)("f", ["x"], "y", alpha=0.25, **options), {"x": A})
    np.testing.assert_array_equal(y, oracle(A, 0.25).astype(np.float32))


def test_alpha_is_compared_in_the_precision_of_the_blobs(run_network):
    # 0.1 is no float32: a comparison in double would say that they differ.
    y = run_network(
        lambda b: b.add_equal("f", ["x"], "y", alpha=0.1), {"x": np.float32([0.1, 0.2])}
    )
    np.testing.assert_array_equal(y, [1, 0])


def test_not_takes_all_but_zero_for_true(run_network):
    y = run_network(lambda b: b.add_logical("n", ["x"], "y", mode="NOT"), {"x": A})
    np.testing.assert_array_equal(y, [[0, 0, 1], [0, 0, 0]])


def test_where_chooses_between_blobs_that_are_broadcast_together(run_network):
    condition = np.float32([[1], [0], [-2]])
    x, other = np.float32([1, 2]), np.float32([[[10]], [[20]]])
    y = run_network(
        lambda b: b.add_where_broadcastable("w", ["c", "x", "o"], "y"),
        {"c": condition, "x": x, "o": other},
    )
    np.testing.assert_array_equal(y, np.where(condition != 0, x, other))


def test_the_places_of_what_is_not_zero_come_in_row_major_order(run_network):
    x = np.float32([[1, 2, 1], [0, 2, 2], [2, 1, 0]])  # the example of the specification
    y = run_network(lambda b: b.add_where_nonzero("w", "x", "y"), {"x": x})
    np.testing.assert_array_equal(y, [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 0], [2, 1]])


def test_no_place_at_all_is_an_empty_matrix(run_network):
    y = run_network(lambda b: b.add_where_nonzero("w", "x", "y"), {"x": np.zeros((2, 2))})
    assert y.shape == (0, 2)


@pytest.mark.parametrize(
    ("method", "options", "oracle"),
    [
        ("add_lower_triangular", {"k": 0}, lambda x: np.tril(x)),
        ("add_lower_triangular", {"k": 1}, lambda x: np.tril(x, 1)),
        ("add_upper_triangular", {"k": -1}, lambda x: np.triu(x, -1)),
        (
            "add_matrix_band_part",
            {"num_lower": 1, "num_upper": 0},
            lambda x: np.triu(np.tril(x), -1),
        ),
        ("add_matrix_band_part", {"num_lower": -1, "num_upper": 0}, np.tril),
        ("add_matrix_band_part", {"num_lower": -3, "num_upper": -1}, lambda x: x),
    ],
)
def test_a_part_of_each_matrix_stays(run_network, method, options, oracle):
    x = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 4)
    y = run_network(lambda b: getattr(b, method)("m", "x", "y", **options), {"x": x})
    np.testing.assert_array_equal(y, oracle(x))


def test_a_part_of_a_matrix_wants_a_matrix(run_network):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as failure:
        run_network(lambda b: b.add_lower_triangular("m", "x", "y"), {"x": np.ones(3)})
    assert str(failure.value) == (
        "layer 0 'm', lowerTriangular: matrices were expected\n"
        "  got: a blob of shape [3]\n"
        "  allowed: two or more dimensions"
    )


def test_gradients_pass_through_what_can_be_trained_through():
    from mlbuild.coreml.nn.layer import Given, builders
    from mlbuild.coreml.protos import model_proto

    network = model_proto().Model().neuralNetwork
    for name in ("tanh", "gelu", "clip", "clampedReLU", "erf", "exp2"):
        message = network.layers.add(input=["x"], output=["y"])
        getattr(message, name).SetInParent()
        params = getattr(message, name)
        if name == "clip":
            params.minVal, params.maxVal = -5, 5
        if name == "clampedReLU":
            params.alpha, params.beta = 0.5, 5
        run = builders()[name](Given(message, params, name, None, None))
        x = torch.linspace(-2, 2, 8, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(run, x)
