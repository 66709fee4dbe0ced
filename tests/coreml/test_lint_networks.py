"""What lint says of networks, classical models and pipelines."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml.lint import lint  # noqa: E402

pytestmark = pytest.mark.toolchain


@pytest.fixture
def save(ct, tmp_path):
    """A network of 16 numbers; ``build(builder)`` makes y of x."""

    def saved(build, outputs=16):
        from coremltools.models import datatypes, neural_network

        builder = neural_network.NeuralNetworkBuilder(
            [("x", datatypes.Array(16))],
            [("y", datatypes.Array(outputs))],
            disable_rank5_shape_mapping=True,
        )
        build(builder)
        path = tmp_path / "net.mlmodel"
        ct.models.MLModel(builder.spec, skip_model_load=True).save(str(path))
        return path

    return saved


def told(findings):
    return [(f.severity, f.rule, f.place) for f in findings]


ONES = [{"x": np.ones(16, np.float32)}]


def test_a_sound_network_is_left_in_peace(save):
    path = save(lambda b: b.add_activation("active", "RELU", "x", "y"))
    assert lint(path, ONES) == []


def test_values_beyond_float16_are_told_with_the_layer_that_makes_them(save):
    def build(builder):
        builder.add_elementwise("large", ["x"], "l", "MULTIPLY", 70000.0)
        builder.add_elementwise("back", ["l"], "y", "MULTIPLY", 1e-3)

    found = lint(save(build), ONES)
    assert told(found) == [("warning", "float16-overflow", "'large', multiply (makes l)")]
    assert found[0].what == "16 of 16 elements lie beyond 65504, up to 7e+04"


def test_only_the_first_layer_that_makes_nan_is_a_source(save):
    def build(builder):
        builder.add_elementwise("minus", ["x"], "m", "MULTIPLY", -1.0)
        builder.add_unary("root", "m", "r", "sqrt")
        builder.add_activation("active", "RELU", "r", "y")

    found = lint(save(build), ONES)
    assert told(found) == [("error", "nan-source", "'root', unary (makes r)")]
    assert found[0].what == "makes 16 NaN elements of finite inputs"


def test_without_samples_only_weights_are_looked_at(save):
    path = save(lambda b: b.add_elementwise("large", ["x"], "y", "MULTIPLY", 70000.0))
    assert lint(path) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(1e5, ("note", "constant-outside-float16"), id="beyond float16"),
        pytest.param(np.nan, ("error", "constant-nan"), id="not a number"),
        pytest.param(np.inf, ("error", "constant-nan"), id="infinite"),
    ],
)
def test_weights_that_no_half_holds_are_told(save, value, expected):
    weights = np.eye(16, dtype=np.float32)
    weights[0, 0] = value
    path = save(lambda b: b.add_inner_product("full", weights, None, 16, 16, False, "x", "y"))
    (found,) = lint(path)
    assert (found.severity, found.rule) == expected
    assert found.place == "weight weights of 'full', innerProduct"


def quantized(codes, bits, **how):
    return lambda b: b.add_inner_product(
        "full", codes.astype(np.uint8).tobytes(), None, 16, 16, False, "x", "y", nbits=bits, **how
    )


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        pytest.param(
            quantized(
                np.arange(256) % 7, 8, quantization_type="linear",
                quant_scale=np.ones(1), quant_bias=np.zeros(1),
            ),
            [("warning", "scale-of-one")],
            id="a scale of one",
        ),
        pytest.param(
            quantized(
                np.arange(256) % 7, 8, quantization_type="linear",
                quant_scale=np.full(16, 0.1), quant_bias=np.zeros(16),
            ),
            [],
            id="a scale for each row",
        ),
        pytest.param(
            quantized(np.arange(256) % 3, 8, quantization_type="lut", quant_lut=np.arange(256.0)),
            [("warning", "compression-grows"), ("note", "palette-not-used")],
            id="a table that is larger than the weights and hardly used",
        ),
    ],
)  # fmt: skip
def test_quantization_that_did_nothing_is_told(save, build, expected):
    assert [(f.severity, f.rule) for f in lint(save(build))] == expected


def test_a_pipelines_networks_are_looked_into_and_named(save, ct, tmp_path):
    def build(builder):
        builder.add_elementwise("large", ["x"], "y", "MULTIPLY", 70000.0)

    from coremltools.models import datatypes
    from coremltools.models.pipeline import Pipeline

    pipeline = Pipeline([("x", datatypes.Array(16))], [("y", datatypes.Array(16))])
    pipeline.add_model(ct.models.MLModel(str(save(build)), skip_model_load=True))
    path = tmp_path / "pipeline.mlmodel"
    ct.models.MLModel(pipeline.spec, skip_model_load=True).save(str(path))
    found = lint(path, ONES)
    assert told(found) == [("warning", "float16-overflow", "'0/large', multiply (makes 0/y)")]


def test_a_classical_model_is_looked_at_for_what_is_not_finite(ct, tmp_path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    rows = np.random.default_rng(0).normal(size=(20, 2))
    model = sklearn.LinearRegression().fit(rows, rows.sum(1))
    path = tmp_path / "line.mlmodel"
    ct.converters.sklearn.convert(model, "input", "target").save(str(path))
    assert lint(path, [{"input": np.ones(2)}]) == []
    model.coef_[0] = np.inf
    ct.converters.sklearn.convert(model, "input", "target").save(str(path))
    found = lint(path, [{"input": np.ones(2)}])
    assert {f.rule for f in found} == {"nan-source"}
    assert found[0].place.startswith("glmRegressor (makes ")
