"""coremltools' own predictions, made by the runtime: on, off, and what users see of errors."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def on(ct):
    """coremltools with predictions, as for its users; off again for the other tests."""
    from mlbuild.coreml import disable_predict, enable_predict

    assert enable_predict()
    yield ct
    disable_predict()


@pytest.fixture(scope="module")
def converted(on):
    """Makes models of MIL programs: name -> MLModel."""
    ct = on
    from coremltools.converters.mil import Builder as mb  # noqa: N813

    @mb.program(input_specs=[mb.TensorSpec(shape=(2, 3))], opset_version=ct.target.iOS16)
    def plain(x):
        return mb.relu(x=mb.add(x=x, y=np.float32([[1.0, 2.0, 3.0]])), name="y")

    def convert(program, **options):
        wanted = {"convert_to": "mlprogram", "minimum_deployment_target": ct.target.iOS16}
        return ct.convert(program, **wanted, **options)

    shapes = {
        "range": ct.Shape((ct.RangeDim(3, 5, default=4), 2)),
        "enumerated": ct.EnumeratedShapes([(3, 2), (5, 2)]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about tracing, coremltools' about its passes
        models = {
            "plain": convert(plain),
            "float32": convert(plain, compute_precision=ct.precision.FLOAT32),
        }
        for name, shape in shapes.items():
            traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(3, 2))
            models[name] = convert(traced, inputs=[ct.TensorType(name="x", shape=shape)])
        inputs = [ct.TensorType(name="x", shape=(3, 2))]
        outputs = [ct.TensorType(name="y", dtype=np.float16)]
        models["half"] = convert(traced, inputs=inputs, outputs=outputs)
    return models


X = np.array([[-5.0, 0.5, 1.0], [2.0, -2.0, -4.0]], np.float32)
Y = np.maximum(X + np.float32([1.0, 2.0, 3.0]), 0)


def test_a_converted_model_predicts(converted):
    np.testing.assert_allclose(converted["plain"].predict({"x": X})["y"], Y, atol=1e-3)


def test_float16_is_given_as_float32_as_the_extension_does(converted):
    model = converted["half"]
    assert model.get_spec().description.output[0].type.multiArrayType.dataType == 65552
    answer = model.predict({"x": np.full((3, 2), 0.1, np.float32)})["y"]
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, np.float32(np.float16(0.1)))


def test_several_inputs_are_a_batch(converted):
    answers = converted["float32"].predict([{"x": X}, {"x": X + 1}])
    np.testing.assert_allclose([a["y"] for a in answers], [Y, np.maximum(X + 1 + [1, 2, 3], 0)])


@pytest.mark.parametrize("units", ["ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE"])
def test_a_specification_and_its_weights_predict_on_any_units(on, converted, units):
    model = converted["float32"]
    again = on.models.MLModel(
        model.get_spec(), weights_dir=model.weights_dir, compute_units=on.ComputeUnit[units]
    )
    np.testing.assert_allclose(again.predict({"x": X})["y"], Y)


def test_a_saved_package_predicts_after_it_was_removed(on, converted, tmp_path):
    import shutil

    path = tmp_path / "m.mlpackage"
    converted["float32"].save(str(path))
    model = on.models.MLModel(str(path))
    shutil.rmtree(path)  # Core ML has its compiled copy by then
    np.testing.assert_allclose(model.predict({"x": X})["y"], Y)


def test_a_compiled_model_predicts(on, converted, tmp_path):
    copied = converted["float32"].get_compiled_model_path()
    assert copied.endswith(".mlmodelc")
    answers = on.models.CompiledMLModel(copied).predict({"x": X})
    np.testing.assert_allclose(answers["y"], Y)
    path = tmp_path / "m.mlpackage"
    converted["float32"].save(str(path))
    made = on.models.utils.compile_model(str(path), str(tmp_path / "n.mlmodelc"))
    np.testing.assert_allclose(on.models.CompiledMLModel(made).predict({"x": X})["y"], Y)


def test_a_network_whose_file_is_gone_still_has_its_compiled_model(on):
    from coremltools.models.neural_network import NeuralNetworkBuilder

    array = on.models.datatypes.Array(3)
    builder = NeuralNetworkBuilder([("x", array)], [("y", array)])
    builder.add_activation("relu", "RELU", "x", "y")
    network = on.models.MLModel(builder.spec)  # coremltools writes a file, and removes it
    copied = network.get_compiled_model_path()
    answers = on.models.CompiledMLModel(copied).predict({"x": np.float32([-1.0, 0.0, 2.0])})
    np.testing.assert_array_equal(answers["y"], [0.0, 0.0, 2.0])


def test_a_package_that_is_gone_has_no_compiled_model(on, converted, tmp_path):
    import shutil

    path = tmp_path / "m.mlpackage"
    converted["float32"].save(str(path))
    model = on.models.MLModel(str(path))
    shutil.rmtree(path)
    with pytest.raises(RuntimeError, match=r"m\.mlpackage: there is no such model"):
        model.get_compiled_model_path()


def test_a_model_in_memory_predicts(on, converted):
    from coremltools.models.model import MLModelAsset

    model = converted["float32"]
    weights = Path(model.weights_dir) / "weight.bin"
    asset = MLModelAsset.from_memory(
        model.get_spec().SerializeToString(),
        {"weights/weight.bin": weights.read_bytes()} if weights.exists() else {},
    )
    answers = on.models.CompiledMLModel.from_asset(asset).predict({"x": X})
    np.testing.assert_allclose(answers["y"], Y)


def test_one_that_core_ml_compiled_is_refused_by_name(on, tmp_path):
    theirs = tmp_path / "theirs.mlmodelc"
    theirs.mkdir()
    (theirs / "coremldata.bin").write_bytes(b"?")
    with pytest.raises(RuntimeError, match="a compiled model can only be run by Core ML itself"):
        on.models.CompiledMLModel(str(theirs))


@pytest.fixture(scope="module")
def counter(on):
    """A model that adds what it is given to what it keeps."""
    ct = on
    from coremltools.converters.mil import Builder as mb  # noqa: N813
    from coremltools.converters.mil.mil import types

    specs = [mb.TensorSpec(shape=(1,), dtype=types.fp16)]
    specs.append(mb.StateTensorSpec(shape=(1,), dtype=types.fp16))

    @mb.program(input_specs=specs, opset_version=ct.target.iOS18)
    def count(x, total):
        sum = mb.add(x=mb.read_state(input=total), y=x, name="sum")
        mb.coreml_update_state(state=total, value=sum)
        return mb.identity(x=sum, name="y")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ct.convert(count, minimum_deployment_target=ct.target.iOS18)


def test_a_state_lives_through_predictions_and_is_read_and_written(counter):
    state, other = counter.make_state(), counter.make_state()
    x = {"x": np.float32([2.0])}
    assert [float(counter.predict(dict(x), state)["y"][0]) for _ in range(3)] == [2.0, 4.0, 6.0]
    assert float(counter.predict(dict(x), other)["y"][0]) == 2.0
    assert state.read_state("total").tolist() == [6.0]
    assert state.read_state("total").dtype == np.float32
    state.write_state("total", np.float32([10.0]))
    assert float(counter.predict(dict(x), state)["y"][0]) == 12.0


@pytest.mark.parametrize("verb", ["read", "write"])
def test_a_state_that_is_not_there_is_told(counter, verb):
    state = counter.make_state()
    with pytest.raises(RuntimeError, match="the model has no such state"):
        if verb == "read":
            state.read_state("sum")
        else:
            state.write_state("sum", np.float32([0.0]))


def test_another_function_of_a_package_predicts(on, converted, tmp_path):
    ct = on
    desc = ct.utils.MultiFunctionDescriptor()
    for name, model in (("plus", "float32"), ("half", "half")):
        path = tmp_path / f"{name}.mlpackage"
        converted[model].save(str(path))
        desc.add_function(str(path), "main", name)
    desc.default_function_name = "plus"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.utils.save_multifunction(desc, str(tmp_path / "both.mlpackage"))
    both = str(tmp_path / "both.mlpackage")
    np.testing.assert_allclose(ct.models.MLModel(both).predict({"x": X})["y"], Y)
    half = ct.models.MLModel(both, function_name="half")
    given = np.array([[-1.0, 1.0]] * 3, np.float32)
    np.testing.assert_array_equal(half.predict({"x": given})["y"], np.maximum(given, 0))


def test_durations_are_told(converted):
    model = converted["plain"]
    model.predict({"x": X})
    assert model.load_duration_in_nano_seconds > 0
    assert model.last_predict_duration_in_nano_seconds > 0


ERRORS = {
    "of a fixed shape": (
        "float32",
        (2, 4),
        "MultiArray shape (2 x 4) does not match the shape (2 x 3) specified in the model "
        "description.",
    ),
    "outside of a range": (
        "range",
        (9, 2),
        "Size (9) of dimension (0) is not in allowed range (3..5).",
    ),
    "not enumerated": (
        "enumerated",
        (4, 2),
        "MultiArray Shape (4 x 2) was not in enumerated set of allowed shapes.",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_wrong_shape_is_told_in_core_mls_words_first(converted, case):
    name, shape, words = ERRORS[case]
    with pytest.raises(RuntimeError) as caught:
        converted[name].predict({"x": np.zeros(shape, np.float32)})
    assert str(caught.value).splitlines()[0] == words
    assert "input 'x': an array of the wrong shape" in str(caught.value)


def test_what_cannot_run_is_told_when_it_is_loaded_and_raised_when_it_is_to_predict(on, converted):
    spec = converted["plain"].get_spec()
    block = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
    next(o for o in block.operations if o.type == "relu").type = "relv"
    with pytest.warns(RuntimeWarning, match="will not be able to run predict"):
        model = on.models.MLModel(spec, weights_dir=converted["plain"].weights_dir)
    with pytest.raises(RuntimeError, match=r"operator iOS16\.relv is not supported"):
        model.predict({"x": X})


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_switching_on_imports_nothing_and_switching_off_restores_everything():
    code = """
import sys
from mlbuild.coreml import disable_predict, enable_predict
enable_predict()
print('torch' in sys.modules, 'coremltools' in sys.modules)
import coremltools as ct
from coremltools._deps import _IS_MACOS
from coremltools.models import model, utils
print(_IS_MACOS, utils._is_macos(), model._macos_version(), model._MLModelProxy is not None)
disable_predict()
print(ct._deps._IS_MACOS, utils._is_macos(), model._macos_version(), model._MLModelProxy)
print('coremltools.libcoremlpython' in sys.modules, hasattr(ct, 'libcoremlpython'))
enable_predict()
print(ct._deps._IS_MACOS, model._is_macos(), model._MLModelProxy is not None)
"""
    assert run(code).splitlines() == [
        "False False",
        "True True (26, 0) True",
        "False False () None",
        "False False",
        "True True True",
    ]


def test_an_unknown_precision_is_refused():
    from mlbuild.coreml import InputError, enable_predict

    with pytest.raises(InputError) as caught:
        enable_predict(precision="float8")
    assert str(caught.value) == ("unknown precision\n  got: float8\n  allowed: declared, float32")


def test_a_coloured_picture_comes_back_with_an_alpha_as_from_the_extension(on):
    ct = on
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(1, 3, 4, 5))
        model = ct.convert(
            traced,
            inputs=[ct.ImageType(name="x", shape=(1, 3, 4, 5))],
            outputs=[ct.ImageType(name="y")],
            minimum_deployment_target=ct.target.iOS16,
        )
    from PIL import Image

    colours = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    picture = model.predict({"x": Image.fromarray(colours)})["y"]
    assert (picture.mode, picture.size) == ("RGBA", (5, 4))
    assert (np.asarray(picture)[..., :3] == colours).all()
