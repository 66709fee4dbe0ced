"""What a model keeps between predictions, and lists of tensors inside of one."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


@pytest.fixture
def counter(ct, tmp_path):
    """A package whose state adds up what it is given."""
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    specs = [Builder.StateTensorSpec((2,), types.fp16), Builder.TensorSpec((2,), types.fp16)]

    @Builder.program(input_specs=specs, opset_version=ct.target.iOS18)
    def program(total, x):
        added = Builder.add(x=Builder.read_state(input=total), y=x)
        return Builder.coreml_update_state(state=total, value=added, name="sum")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ct.convert(
            program,
            source="milinternal",
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS18,
            skip_model_load=True,
        )
        model.save(str(tmp_path / "Counter.mlpackage"))
    return tmp_path / "Counter.mlpackage"


X = {"x": np.array([1, 2], np.float16)}


def test_a_state_begins_at_zero_and_is_changed_by_predictions(counter):
    from mlbuild.coreml import load

    model = load(counter)
    state, other = model.make_state(), model.make_state()
    assert state.names == ("total",)
    np.testing.assert_array_equal(state.read_state("total"), [0, 0])
    sums = [model.predict(X, state=state)["sum"].tolist() for _ in range(3)]
    assert sums == [[1, 2], [2, 4], [3, 6]]
    held = state.read_state("total")
    np.testing.assert_array_equal(held, [3, 6])
    assert held.dtype == np.float16
    np.testing.assert_array_equal(other.read_state("total"), [0, 0])


def test_what_was_read_or_written_is_a_copy(counter):
    from mlbuild.coreml import load

    model = load(counter)
    state = model.make_state()
    written = np.array([5, 7], np.float32)
    state.write_state("total", written)
    written[:] = 0
    held = state.read_state("total")
    held[:] = 0
    assert model.predict(X, state=state)["sum"].tolist() == [6, 9]


def test_a_written_value_is_rounded_to_the_states_type(counter):
    from mlbuild.coreml import load

    for precision, kept in (("declared", 2048.0), ("float32", 2049.0)):
        state = load(counter, precision=precision).make_state()
        state.write_state("total", [2049.0, 0.0])
        assert state.read_state("total")[0] == kept


def test_misused_states_are_refused(counter, save_program):
    from mlbuild.coreml import InputError, load

    model = load(counter)
    with pytest.raises(InputError) as error:
        model.predict(X)
    assert str(error.value) == (
        "the model keeps a state: total\n  hint: model.predict(inputs, state=model.make_state())"
    )
    state = model.make_state()
    with pytest.raises(InputError) as error:
        state.read_state("sum")
    assert str(error.value) == "the model has no such state\n  got: sum\n  allowed: total"
    with pytest.raises(InputError) as error:
        state.write_state("total", np.zeros(3))
    assert str(error.value) == "state 'total': a state of shape [2] was given [3]"
    stateless = load(save_program(lambda mb, x: mb.relu(x=x), {"x": np.ones(2, np.float32)}))
    with pytest.raises(InputError) as error:
        stateless.predict({"x": np.ones(2)}, state=state)
    assert str(error.value) == "the model has no state, but one was given"
    with pytest.raises(InputError) as error:
        model.predict(X, state=object())
    assert str(error.value) == ("the state is not one of this model\n  hint: model.make_state()")


def test_a_list_grows_and_holds_zeros_where_nothing_was_written(save_program):
    from mlbuild.coreml import load

    def build(mb, a, b):
        ls = mb.make_list(init_length=2, elem_shape=(2,))
        ls = mb.list_write(ls=ls, index=0, value=a)
        ls = mb.list_write(ls=ls, index=4, value=b)
        ls = mb.list_scatter(ls=ls, indices=[2, 1], value=np.array([[5, 6], [7, 8]], np.float32))
        return (
            mb.list_gather(ls=ls, indices=[4, 3, 0], name="some"),
            mb.list_read(ls=ls, index=1, name="one"),
            mb.list_length(ls=ls, name="length"),
        )

    inputs = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32)}
    model = load(save_program(build, inputs))
    outputs = model.predict(inputs)
    assert outputs["some"].tolist() == [[3, 4], [0, 0], [1, 2]]
    assert outputs["one"].tolist() == [7, 8]
    assert outputs["length"] == 5
    lists = [v for v in model.trace(inputs).values.values() if isinstance(v, list)]
    assert [len(items) for items in lists] == [2, 2, 5, 5]


def test_a_list_of_fixed_length_is_not_read_or_written_beyond_it(save_program):
    from mlbuild.coreml import ExecutionError, load

    def build(mb, a):
        ls = mb.make_list(init_length=2, elem_shape=(1,), dynamic_length=False)
        return mb.list_read(ls=mb.list_write(ls=ls, index=2, value=a), index=0)

    inputs = {"a": np.ones(1, np.float32)}
    model = load(save_program(build, inputs))
    with pytest.raises(ExecutionError, match=r"list_write .*: element 2 of a list of 2"):
        model.predict(inputs)


def test_the_shape_of_elements_may_be_told_by_the_first_write(save_program):
    from mlbuild.coreml import load

    def build(mb, a):
        ls = mb.make_list(init_length=1, elem_shape=("n",))
        ls = mb.list_write(ls=ls, index=1, value=a)
        return mb.list_gather(ls=ls, indices=[0, 1])

    inputs = {"a": np.array([1, 2, 3], np.float32)}
    (values,) = load(save_program(build, inputs)).predict(inputs).values()
    assert values.tolist() == [[0, 0, 0], [1, 2, 3]]


def test_each_function_of_a_package_has_its_own_code_and_shares_weights(ct, tmp_path, save_program):
    from mlbuild.coreml import ModelFileError, load

    weight = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    x = np.ones((1, 32), np.float32)
    plain = save_program(lambda mb, x: mb.linear(x=x, weight=weight, name="y"), {"x": x}, "iOS18")
    doubled = save_program(
        lambda mb, x: mb.mul(x=mb.linear(x=x, weight=weight), y=np.float32(2), name="y"),
        {"x": x},
        "iOS18",
    )
    joined = ct.utils.MultiFunctionDescriptor()
    joined.add_function(str(plain), "main", "plain")
    joined.add_function(str(doubled), "main", "doubled")
    joined.default_function_name = "plain"
    path = tmp_path / "Both.mlpackage"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.utils.save_multifunction(joined, str(path))
    expected = x @ weight.T
    np.testing.assert_allclose(load(path).predict({"x": x})["y"], expected, rtol=1e-5)
    got = load(path, function="doubled").predict({"x": x})["y"]
    np.testing.assert_allclose(got, 2 * expected, rtol=1e-5)
    size = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert size < 1.5 * weight.nbytes
    with pytest.raises(ModelFileError) as error:
        load(path, function="tripled")
    assert str(error.value) == (
        f"{path}: there is no such function\n  got: tripled\n  allowed: doubled, plain"
    )
