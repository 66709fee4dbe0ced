"""Operators that a model brings along, run by a user's Python function."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


@pytest.fixture(scope="module")
def swish():
    """A custom operator in coremltools' registry: x sigmoid(beta x), and beta itself."""
    from coremltools.converters.mil.mil import Operation, types
    from coremltools.converters.mil.mil.input_type import InputSpec, TensorInputType
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    @SSAOpRegistry.register_op(is_custom_op=True)
    class custom_swish(Operation):  # noqa: N801
        input_spec = InputSpec(
            x=TensorInputType(type_domain=types.fp32),
            beta=TensorInputType(const=True, type_domain=types.fp32),
            kind=TensorInputType(const=True, type_domain=types.str),
        )
        bindings = {"class_name": "Swish", "input_order": ["x"], "parameters": ["beta", "kind"]}

        def type_inference(self):
            return types.tensor(types.fp32, self.x.shape), types.tensor(types.fp32, ())

    yield
    SSAOpRegistry.custom_ops.pop("custom_swish")


@pytest.fixture
def clean_registry():
    """Only what a test registers is there, and only for that test."""
    from mlbuild.coreml.mil import operator

    before = dict(operator._custom)
    yield
    operator._custom.clear()
    operator._custom.update(before)


X = {"x": np.array([-1, 0, 2], np.float32)}


@pytest.fixture
def package(swish, save_program):
    def build(mb, x):
        return mb.custom_swish(x=x, beta=1.5, kind="exact", name="swish")

    return save_program(build, X)


def test_an_unregistered_custom_operator_is_refused_by_name(package, clean_registry):
    from mlbuild.coreml import UnsupportedError, load

    with pytest.raises(UnsupportedError) as error:
        load(package)
    lines = str(error.value).split("\n")
    assert lines[0].endswith(
        "iOS15.custom_layer (makes swish_0, swish_1): "
        "the custom operator iOS15.Swish is not registered"
    )
    assert lines[1] == '  hint: mlbuild.coreml.register_operator("Swish", function)'


def test_a_registered_function_is_given_tensors_numbers_and_strings(package, clean_registry):
    from mlbuild.coreml import load, register_operator

    given = []

    def swish(x, beta, kind, extra=None):
        given.append((beta, kind))
        return x * torch.sigmoid(beta * x), torch.tensor(beta)

    register_operator("Swish", swish)
    made, beta = load(package).predict(X).values()
    np.testing.assert_allclose(made, X["x"] / (1 + np.exp(-1.5 * X["x"])), rtol=1e-6)
    assert float(beta.item()) == 1.5
    assert given == [(1.5, "exact")]


def test_a_function_without_a_parameter_for_an_input_is_refused(package, clean_registry):
    from mlbuild.coreml import UnsupportedError, load, register_operator

    register_operator("Swish", lambda x: x)
    with pytest.raises(UnsupportedError) as error:
        load(package)
    assert "an input that this runtime does not know: beta, kind\n  allowed: x" in str(error.value)


def test_what_a_function_raises_is_told_with_the_operators_place(package, clean_registry):
    from mlbuild.coreml import ExecutionError, load, register_operator

    def swish(x, beta, kind):
        raise ArithmeticError("no luck")

    register_operator("Swish", swish)
    with pytest.raises(ExecutionError, match=r"custom_layer \(makes swish_0, swish_1\): no luck"):
        load(package).predict(X)
