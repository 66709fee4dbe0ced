"""Operators that work element by element, and reductions, against torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
F = torch.nn.functional
pytestmark = pytest.mark.toolchain


def real(*shape, low=-2.0, high=2.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def whole(*shape, low=-9, high=9, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(np.int32)


X = {"x": real(2, 3, 4, 5)}
POSITIVE = {"x": real(2, 3, 4, low=0.1, high=3.0)}
UNIT = {"x": real(2, 3, 4, low=-0.95, high=0.95)}
PAIR = {"x": real(2, 3, 4), "y": real(3, 1, low=0.5, high=2.0, seed=1)}
INTEGERS = {"x": whole(3, 4), "y": np.array([-3, 2, 3, -2], np.int32)}
CHANNELS = np.array([0.1, 0.2, 0.3], np.float32)

UNARY = {
    "abs": torch.abs, "ceil": torch.ceil, "floor": torch.floor, "round": torch.round,
    "sign": torch.sign, "atan": torch.atan, "cos": torch.cos, "cosh": torch.cosh,
    "erf": torch.erf, "exp": torch.exp, "exp2": torch.exp2, "sin": torch.sin,
    "sinh": torch.sinh, "square": torch.square, "tan": torch.tan, "tanh": torch.tanh,
    "relu": torch.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "silu": F.silu,
    "softplus": F.softplus, "softsign": F.softsign, "identity": lambda x: x,
}  # fmt: skip

# what it proves, operator, parameters, inputs, oracle
CASES = [
    *((f"{name} of real numbers", name, {}, X, f) for name, f in UNARY.items()),
    *(
        (f"{name} inside its domain", name, {}, UNIT, getattr(torch, name))
        for name in ("acos", "asin", "atanh")
    ),
    ("sqrt of positive numbers", "sqrt", {}, POSITIVE, torch.sqrt),
    (
        "rsqrt adds epsilon first",
        "rsqrt",
        {"epsilon": 0.5},
        POSITIVE,
        lambda x: torch.rsqrt(x + 0.5),
    ),
    ("log adds epsilon first", "log", {"epsilon": 0.5}, POSITIVE, lambda x: torch.log(x + 0.5)),
    ("log without epsilon", "log", {}, POSITIVE, torch.log),
    (
        "inverse adds epsilon first",
        "inverse",
        {"epsilon": 0.25},
        POSITIVE,
        lambda x: 1 / (x + 0.25),
    ),
    ("the default epsilon of inverse", "inverse", {}, POSITIVE, lambda x: 1 / (x + 1e-4)),
    (
        "halves are rounded to even",
        "round",
        {},
        {"x": np.array([0.5, 1.5, -2.5], np.float32)},
        lambda x: torch.tensor([0.0, 2.0, -2.0]),
    ),
    (
        "clip keeps both limits",
        "clip",
        {"alpha": -0.5, "beta": 0.75},
        X,
        lambda x: x.clamp(-0.5, 0.75),
    ),
    ("threshold is a lower limit", "threshold", {"alpha": 0.25}, X, lambda x: x.clamp(min=0.25)),
    ("abs of integers stays whole", "abs", {}, {"x": whole(3, 4)}, torch.abs),
    ("cast cuts towards zero", "cast", {"dtype": "int32"}, X, lambda x: x.to(torch.int32)),
    (
        "cast to truth values and back",
        "cast",
        {"dtype": "int32"},
        {"x": real(4)},
        lambda x: x.int(),
    ),
    (
        "clamped_relu limits both branches",
        "clamped_relu",
        {"alpha": 2.0, "beta": 1.0},
        X,
        lambda x: torch.clamp(torch.where(x >= 0, x, 2 * x), max=1.0),
    ),
    ("leaky_relu", "leaky_relu", {"alpha": 0.1}, X, lambda x: F.leaky_relu(x, 0.1)),
    (
        "prelu has a slope for each channel",
        "prelu",
        {"alpha": CHANNELS},
        X,
        lambda x: F.prelu(x, torch.tensor(CHANNELS)),
    ),
    (
        "thresholded_relu",
        "thresholded_relu",
        {"alpha": 0.5},
        X,
        lambda x: torch.where(x >= 0.5, x, 0.0),
    ),
    ("elu", "elu", {"alpha": 0.7}, X, lambda x: F.elu(x, 0.7)),
    (
        "scaled_tanh",
        "scaled_tanh",
        {"alpha": 2.0, "beta": 0.3},
        X,
        lambda x: 2 * torch.tanh(0.3 * x),
    ),
    (
        "sigmoid_hard",
        "sigmoid_hard",
        {"alpha": 0.3, "beta": 0.4},
        X,
        lambda x: (0.3 * x + 0.4).clamp(0, 1),
    ),
    (
        "linear_activation",
        "linear_activation",
        {"alpha": 0.3, "beta": 0.4},
        X,
        lambda x: 0.3 * x + 0.4,
    ),
    (
        "softplus_parametric by channel",
        "softplus_parametric",
        {"alpha": CHANNELS, "beta": CHANNELS * 3},
        X,
        lambda x: (
            torch.tensor(CHANNELS).reshape(-1, 1, 1)
            * F.softplus(x * torch.tensor(CHANNELS * 3).reshape(-1, 1, 1))
        ),
    ),
    (
        "softplus does not overflow",
        "softplus",
        {},
        {"x": np.array([200.0, -200.0], np.float32)},
        lambda x: torch.tensor([200.0, 0.0]),
    ),
    ("exact gelu", "gelu", {"mode": "EXACT"}, X, F.gelu),
    (
        "gelu by tanh",
        "gelu",
        {"mode": "TANH_APPROXIMATION"},
        X,
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    (
        "gelu by sigmoid",
        "gelu",
        {"mode": "SIGMOID_APPROXIMATION"},
        X,
        lambda x: x * torch.sigmoid(1.702 * x),
    ),
    ("softmax along an inner axis", "softmax", {"axis": 1}, X, lambda x: torch.softmax(x, 1)),
    ("softmax's default axis", "softmax", {}, X, lambda x: torch.softmax(x, -1)),
    ("addition broadcasts", "add", {}, PAIR, lambda x, y: x + y),
    ("subtraction broadcasts", "sub", {}, PAIR, lambda x, y: x - y),
    ("multiplication broadcasts", "mul", {}, PAIR, lambda x, y: x * y),
    ("division broadcasts", "real_div", {}, PAIR, lambda x, y: x / y),
    ("larger of two", "maximum", {}, PAIR, torch.maximum),
    ("smaller of two", "minimum", {}, PAIR, torch.minimum),
    ("power", "pow", {}, {"x": POSITIVE["x"], "y": real(4, seed=2)}, torch.pow),
    ("floor division of negative integers", "floor_div", {}, INTEGERS, torch.floor_divide),
    ("the remainder has the divisor's sign", "mod", {}, INTEGERS, torch.remainder),
    ("floor division of real numbers", "floor_div", {}, PAIR, lambda x, y: torch.floor(x / y)),
    ("remainder of real numbers", "mod", {}, PAIR, torch.remainder),
    (
        "sum over some axes",
        "reduce_sum",
        {"axes": [1, 3], "keep_dims": False},
        X,
        lambda x: x.sum((1, 3)),
    ),
    (
        "mean over negative axes, kept",
        "reduce_mean",
        {"axes": [-1, -2], "keep_dims": True},
        X,
        lambda x: x.mean((-1, -2), True),
    ),
    ("sum over all axes", "reduce_sum", {}, X, lambda x: x.sum()),
    (
        "product over two axes",
        "reduce_prod",
        {"axes": [0, 2], "keep_dims": True},
        X,
        lambda x: x.prod(2, True).prod(0, True),
    ),
    ("largest", "reduce_max", {"axes": [2], "keep_dims": False}, X, lambda x: x.amax(2)),
    ("smallest", "reduce_min", {"axes": [0, 1], "keep_dims": False}, X, lambda x: x.amin((0, 1))),
    ("L1 norm", "reduce_l1_norm", {"axes": [1], "keep_dims": False}, X, lambda x: x.abs().sum(1)),
    (
        "L2 norm",
        "reduce_l2_norm",
        {"axes": [1], "keep_dims": False},
        X,
        lambda x: x.square().sum(1).sqrt(),
    ),
    (
        "logarithm of the sum",
        "reduce_log_sum",
        {"axes": [1], "keep_dims": False},
        POSITIVE,
        lambda x: x.sum(1).log(),
    ),
    (
        "log-sum-exp does not overflow",
        "reduce_log_sum_exp",
        {"axes": [0], "keep_dims": False},
        {"x": np.array([200.0, 200.0], np.float32)},
        lambda x: torch.logsumexp(x, 0),
    ),
    (
        "sum of squares",
        "reduce_sum_square",
        {"axes": [3], "keep_dims": False},
        X,
        lambda x: x.square().sum(3),
    ),
    (
        "where the largest stands",
        "reduce_argmax",
        {"axis": 1, "keep_dims": False},
        X,
        lambda x: x.argmax(1).int(),
    ),
    (
        "where the smallest stands, kept",
        "reduce_argmin",
        {"axis": -1, "keep_dims": True},
        X,
        lambda x: x.argmin(-1, True).int(),
    ),
    (
        "sum of integers stays whole",
        "reduce_sum",
        {"axes": [0], "keep_dims": False},
        {"x": whole(3, 4)},
        lambda x: x.sum(0).int(),
    ),
]


@pytest.mark.parametrize(("operator", "parameters", "inputs", "oracle"),
                         [c[1:] for c in CASES], ids=[c[0] for c in CASES])  # fmt: skip
def test_operator_agrees_with_torch(save_program, operator, parameters, inputs, oracle):
    from mlbuild.coreml import load

    def build(mb, **given):
        return getattr(mb, operator)(**given, **parameters, name="out")

    outputs = load(save_program(build, inputs)).predict(inputs)
    expected = oracle(*(torch.from_numpy(array) for array in inputs.values())).numpy()
    (actual,) = outputs.values()
    assert actual.shape == (expected.shape or (1,))  # Core ML has no arrays without dimensions
    # float32 in another order of operations differs by a few units in the last place
    np.testing.assert_allclose(actual.reshape(expected.shape), expected, rtol=2e-6, atol=2e-6)


COMPARISONS = ["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"]


@pytest.mark.parametrize("operator", COMPARISONS)
def test_comparisons_choose_between_two_tensors(save_program, operator):
    from mlbuild.coreml import load

    def build(mb, x, y):
        return mb.select(cond=getattr(mb, operator)(x=x, y=y), a=x, b=mb.mul(x=y, y=10.0))

    inputs = {"x": whole(40, seed=1).astype(np.float32), "y": whole(40, seed=2).astype(np.float32)}
    (actual,) = load(save_program(build, inputs)).predict(inputs).values()
    holds = getattr(np, operator)(inputs["x"], inputs["y"])
    np.testing.assert_array_equal(actual, np.where(holds, inputs["x"], inputs["y"] * 10))


@pytest.mark.parametrize("operator", ["logical_and", "logical_or", "logical_xor"])
def test_logic_combines_conditions(save_program, operator):
    from mlbuild.coreml import load

    def build(mb, x, y):
        holds = getattr(mb, operator)(x=mb.greater(x=x, y=0.0), y=mb.greater(x=y, y=0.0))
        return mb.cast(x=mb.logical_not(x=holds), dtype="fp32")

    inputs = {"x": real(40, seed=1), "y": real(40, seed=2)}
    (actual,) = load(save_program(build, inputs)).predict(inputs).values()
    holds = getattr(np, operator)(inputs["x"] > 0, inputs["y"] > 0)
    np.testing.assert_array_equal(actual, (~holds).astype(np.float32))
