"""Branches and loops."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


def test_a_branch_is_chosen_while_the_program_runs(save_program):
    from mlbuild.coreml import load

    def build(mb, x):
        positive = mb.greater(x=mb.reduce_sum(x=x), y=0.0)
        outside = mb.mul(x=x, y=2.0)  # both branches see it
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.add(x=outside, y=1.0),
            _false_fn=lambda: mb.sub(x=outside, y=x),
        )

    inputs = {"x": np.array([1.0, 2.0], np.float32)}
    model = load(save_program(build, inputs))
    (result,) = model.predict(inputs).values()
    np.testing.assert_array_equal(result, [3.0, 5.0])
    (result,) = model.predict({"x": -inputs["x"]}).values()
    np.testing.assert_array_equal(result, [-1.0, -2.0])


def test_a_loop_runs_until_its_condition_fails(save_program):
    from mlbuild.coreml import load

    def build(mb, x, limit):
        return mb.while_loop(
            _cond=lambda value, count: mb.less(x=mb.reduce_max(x=value), y=limit),
            _body=lambda value, count: (mb.mul(x=value, y=2.0), mb.add(x=count, y=1.0)),
            loop_vars=(x, mb.mul(x=limit, y=0.0)),
        )

    inputs = {"x": np.array([1.0, 3.0], np.float32), "limit": np.array([20.0], np.float32)}
    model = load(save_program(build, inputs))
    values = list(model.predict(inputs).values())
    np.testing.assert_array_equal(values[0], [8.0, 24.0])
    np.testing.assert_array_equal(values[1], [3.0])
    values = list(model.predict({**inputs, "limit": np.zeros(1)}).values())
    np.testing.assert_array_equal(values[0], [1.0, 3.0])


def test_an_error_inside_of_a_branch_names_its_operation(save_program):
    from mlbuild.coreml import ExecutionError, load

    def build(mb, x, i):
        positive = mb.greater(x=mb.reduce_sum(x=x), y=0.0)
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.gather(x=x, indices=i, validate_indices=True, name="inner"),
            _false_fn=lambda: mb.gather(x=x, indices=i, name="other"),
        )

    inputs = {"x": np.array([1.0, 2.0], np.float32), "i": np.array([5], np.int32)}
    with pytest.raises(ExecutionError) as error:
        load(save_program(build, inputs, "iOS17")).predict(inputs)
    message = str(error.value)
    assert message.startswith("operation ")
    assert "iOS17.gather (makes inner): an index outside of 0..1" in message
    assert " of main/" in message
