"""TFLite files against the networks that they came from."""

import json
import zipfile

import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
KIND = "convert/tflite"
LABELS = ["ash", "birch", "cedar"]


def written(run_kind, tmp_path, path, samples=None, **params):
    inputs = {"model": path, **({} if samples is None else {"samples": samples})}
    return run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params=params)


def said(tf, ran, **arrays):
    assert ran.ok, ran.error
    interpreter = tf.lite.Interpreter(model_path=str(ran.outputs["model"]), num_threads=1)
    return interpreter.get_signature_runner()(**arrays)


def array(seed=0, shape=(1, 16, 16, 3)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("quantization", "off"), [("none", 1e-5), ("float16", 5e-3), ("dynamic", 0.1)]
)
def test_a_keras_model_answers_as_it_did(run_kind, tmp_path, tf, net, quantization, off):
    model, path = net(), tmp_path / "net.h5"
    model.save(path)

    ran = written(run_kind, tmp_path, path, quantization=quantization)

    got = said(tf, ran, photo=array())["scores"]
    np.testing.assert_allclose(got, model(array()).numpy(), atol=off)
    assert ran.json("report")["inputs"] == [
        {"name": "photo", "shape": [1, 16, 16, 3], "dtype": "float32"}
    ]


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_whole_numbers_are_scaled_by_what_samples_show(run_kind, tmp_path, tf, net, samples, io):
    model, path = net(), tmp_path / "net.h5"
    model.save(path)

    ran = written(run_kind, tmp_path, path, samples, quantization="int8", io=io)

    assert ran.ok, ran.error
    assert ran.json("report")["inputs"][0]["dtype"] == io
    assert ran.metrics["largest_difference"] < 0.1
    if io == "float32":
        shown = np.load(sorted(samples.iterdir())[0])["photo"]
        np.testing.assert_allclose(
            said(tf, ran, photo=shown)["scores"], model(shown).numpy(), atol=0.05
        )


def test_a_network_of_keras_3_answers_numbers(run_kind, tmp_path, tf, net):
    # The straight way, from a function of such a model, gives a file that answers NaN.
    import keras

    model, path = net(keras=keras), tmp_path / "net.keras"
    model.save(path)

    got = said(tf, written(run_kind, tmp_path, path), photo=array())["scores"]

    np.testing.assert_allclose(got, model(array()).numpy(), atol=1e-5)


def test_a_file_that_answers_nan_is_refused(run_kind, tmp_path, tf, net, monkeypatch):
    import keras

    model = net(keras=keras)
    model.save(tmp_path / "net.keras")

    function = tf.function(lambda photo: {"scores": model(photo, training=False)})
    straight = function.get_concrete_function(tf.TensorSpec([1, 16, 16, 3], name="photo"))
    right = tf.lite.TFLiteConverter.from_concrete_functions
    monkeypatch.setattr(
        tf.lite.TFLiteConverter, "from_concrete_functions", lambda *_: right([straight], model)
    )

    ran = written(run_kind, tmp_path, tmp_path / "net.keras")

    assert ran.error == ("the file gives values that are not finite where TensorFlow's are: scores")


def test_a_saved_model_and_a_graph_keep_their_names(run_kind, tmp_path, tf, net, frozen):
    model = net()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    path, other = frozen(tmp_path / "net.pb")

    saved = said(tf, written(run_kind, tmp_path, tmp_path / "saved"), photo=array())
    graph = said(tf, written(run_kind, tmp_path, path), image=array())

    np.testing.assert_allclose(saved["scores"], model(array()).numpy(), atol=1e-5)
    np.testing.assert_allclose(graph["Softmax"], other(array()).numpy(), atol=1e-5)


def test_the_file_says_its_labels(run_kind, tmp_path, net):
    net().save(tmp_path / "net.h5")

    ran = written(
        run_kind, tmp_path, tmp_path / "net.h5", labels=LABELS, gives="probabilities",
        quantization="float16",
    )  # fmt: skip

    with zipfile.ZipFile(ran.outputs["model"]) as archive:
        told = json.loads(archive.read("mlbuild.description.json"))
    assert told["labels"] == LABELS
    assert told["outputs"] == [{"name": "scores", "gives": "probabilities"}]
    assert told["half"] is True


def test_equal_models_are_equal_bytes(run_kind, tmp_path, net, samples):
    net().save(tmp_path / "net.h5")

    one, two = (
        written(run_kind, tmp_path, tmp_path / "net.h5", samples, quantization="int8") for _ in "ab"
    )

    assert one.outputs["model"].read_bytes() == two.outputs["model"].read_bytes()
    assert one.text("report") == two.text("report")


def test_a_recurrent_network_is_written(run_kind, tmp_path, tf):
    layers = tf.keras.layers
    given = layers.Input((None, 3), name="rows")
    model = tf.keras.Model(given, layers.Dense(2, name="value")(layers.LSTM(4)(given)))
    model.save(tmp_path / "net.keras")

    refused = written(run_kind, tmp_path, tmp_path / "net.keras")
    ran = written(run_kind, tmp_path, tmp_path / "net.keras", shapes={"rows": [1, 5, 3]})

    assert refused.error == "input 'rows' leaves sizes open: [any, any, 3]"
    assert refused.hint == "give them: shapes: {rows: [...]}"
    rows = array(shape=(1, 5, 3))
    np.testing.assert_allclose(
        said(tf, ran, rows=rows)["value"], model(rows).numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"quantization": "int8"}, "quantization: int8, but the input 'samples' is missing"),
        ({"labels": ["a"]}, "labels: 1 are given, the model gives scores [1, 3]"),
        ({"shapes": {"x": [1]}}, "shapes: there is no input 'x'"),
        (
            {"shapes": {"photo": [1, 8, 8, 3]}},
            "shapes: photo: [1, 8, 8, 3], the model takes [any, 16, 16, 3]",
        ),
        (
            {"output_tensors": ["x"]},
            "output_tensors: are of a frozen graph, this is a Keras model",
        ),
    ],
)
def test_what_does_not_fit_is_told(run_kind, tmp_path, net, params, message):
    net().save(tmp_path / "net.h5")

    assert written(run_kind, tmp_path, tmp_path / "net.h5", **params).error == message


def test_samples_without_use_are_told(run_kind, tmp_path, net, samples):
    net().save(tmp_path / "net.h5")

    ran = written(run_kind, tmp_path, tmp_path / "net.h5", samples)

    assert ran.error == "quantization: none uses no samples"
