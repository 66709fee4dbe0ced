"""TensorFlow's models as Core ML: the framework's own answers are the oracle."""

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.toolchain
KIND = "convert/coreml"
LABELS = ["ash", "birch", "cedar"]
PHOTO = {"name": "photo", "kind": "image", "scale": 1 / 127.5, "bias": -1.0}


def given(**facts):
    """An input as the spec hands it to the kind."""
    plain = {
        "shape": None, "shapes": None, "kind": "tensor", "dtype": "float32", "colour": "RGB",
        "scale": 1.0, "bias": 0.0, "tensor": None,
    }  # fmt: skip
    return {**plain, **facts}


def converted(run_kind, tmp_path, path, trust=(), **params):
    return run_kind(KIND, tmp_path=tmp_path, inputs={"model": path}, params=params, trust=trust)


def said(ran, inputs, precision="declared"):
    from mlbuild.coreml import load

    assert ran.ok, ran.error
    return load(ran.outputs["model"], precision=precision).predict(inputs)


def photo(seed=0, size=(16, 16)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def array(seed=0, shape=(1, 16, 16, 3)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def fed(image):
    return np.asarray(image, np.float32)[None] / 127.5 - 1


@pytest.mark.parametrize(("precision", "off"), [("float32", 1e-5), ("float16", 5e-3)])
def test_a_keras_file_becomes_a_classifier_of_pictures(run_kind, tmp_path, net, precision, off):
    model, path = net(), tmp_path / "net.h5"
    model.save(path)

    ran = converted(
        run_kind, tmp_path, path, labels=LABELS, inputs=[given(**PHOTO)], precision=precision
    )

    answer = said(ran, {"photo": photo()})
    wanted = model(fed(photo())).numpy()[0]
    np.testing.assert_allclose([answer["classLabel_probs"][n] for n in LABELS], wanted, atol=off)
    assert answer["classLabel"] == LABELS[int(wanted.argmax())]
    facts = ran.json("report")
    assert facts["verified"]["compared"]
    assert facts["inputs"] == [
        {"name": "photo", "type": "image", "width": 16, "height": 16, "colour": "RGB"}
    ]


def test_a_keras_archive_keeps_names_and_takes_arrays(run_kind, tmp_path, net):
    model, path = net(softmax=False), tmp_path / "net.keras"
    model.save(path)

    ran = converted(run_kind, tmp_path, path, precision="float32")

    answer = said(ran, {"photo": array()})
    np.testing.assert_allclose(answer["scores"], model(array()).numpy(), rtol=1e-4, atol=1e-5)


def test_logits_get_a_softmax_where_labels_ask_for_a_classifier(run_kind, tmp_path, net):
    model, path = net(softmax=False), tmp_path / "net.h5"
    model.save(path)

    ran = converted(run_kind, tmp_path, path, labels=LABELS, precision="float32")

    scores = np.exp(model(array()).numpy()[0])
    answer = said(ran, {"photo": array()})
    np.testing.assert_allclose(
        [answer["classLabel_probs"][n] for n in LABELS], scores / scores.sum(), atol=1e-5
    )


def test_scores_that_are_no_softmax_are_no_probabilities(run_kind, tmp_path, net):
    path = tmp_path / "net.h5"
    net(softmax=False).save(path)

    ran = converted(run_kind, tmp_path, path, labels=LABELS, softmax="none", precision="float32")

    assert ran.error.startswith("the scores of the labels sum to ")
    assert ran.error.endswith(", not to 1: this is no softmax")
    assert "softmax: add" in ran.hint


def test_files_of_keras_3_are_converted_through_their_graph(run_kind, tmp_path, net):
    import keras

    model, path = net(keras=keras), tmp_path / "net.keras"
    model.save(path)

    ran = converted(run_kind, tmp_path, path, labels=LABELS, precision="float32")

    answer = said(ran, {"photo": array()})
    np.testing.assert_allclose(
        [answer["classLabel_probs"][n] for n in LABELS], model(array()).numpy()[0], atol=1e-5
    )


def test_a_saved_model_is_converted_by_its_signature(run_kind, tmp_path, tf, net):
    model, path = net(), tmp_path / "saved"
    function = tf.function(lambda photo: {"out": model(photo, training=False)})
    spec = tf.TensorSpec([None, 16, 16, 3], tf.float32, name="photo")
    both = {"serving_default": function.get_concrete_function(spec)}
    doubled = tf.function(lambda photo: {"twice": 2 * model(photo, training=False)})
    tf.saved_model.save(model, str(path), {**both, "other": doubled.get_concrete_function(spec)})

    ran = converted(run_kind, tmp_path, path, precision="float32")
    other = converted(run_kind, tmp_path, path, signature="other", precision="float32")
    wrong = converted(run_kind, tmp_path, path, signature="third")

    wanted = model(array()).numpy()
    np.testing.assert_allclose(said(ran, {"photo": array()})["out"], wanted, atol=1e-5)
    np.testing.assert_allclose(said(other, {"photo": array()})["twice"], 2 * wanted, atol=1e-5)
    assert wrong.error == "saved has no signature 'third'"
    assert wrong.hint == "it has other, serving_default"


def test_a_frozen_graph_is_converted_as_in_its_day(run_kind, tmp_path, frozen):
    path, model = frozen(tmp_path / "net.pb")

    ran = converted(
        run_kind, tmp_path, path,
        inputs=[given(**{**PHOTO, "tensor": "image:0"})],
        output_tensors=["Softmax"], labels=LABELS, precision="float32",
    )  # fmt: skip

    answer = said(ran, {"photo": photo()})
    np.testing.assert_allclose(
        [answer["classLabel_probs"][n] for n in LABELS], model(fed(photo())).numpy()[0], atol=1e-5
    )


def test_inner_tensors_of_a_graph_can_be_returned_under_names(run_kind, tmp_path, frozen):
    path, model = frozen(tmp_path / "net.pb")

    ran = converted(
        run_kind, tmp_path, path, precision="float32",
        output_tensors=["Relu:0", "Softmax:0"], output_names=["features", "scores"],
    )  # fmt: skip
    wrong = converted(run_kind, tmp_path, path, output_tensors=["deep/Softmax"])

    answer = said(ran, {"image": array()})
    assert answer["features"].shape == (1, 8, 8, 4)
    np.testing.assert_allclose(answer["scores"], model(array()).numpy(), atol=1e-5)
    assert (wrong.error, wrong.hint) == (
        "the graph has no tensor 'deep/Softmax'", "it has Softmax"
    )  # fmt: skip


def test_channels_with_scales_of_their_own_get_them_inside_the_model(run_kind, tmp_path, net):
    model, path = net(), tmp_path / "net.h5"
    model.save(path)
    scale, bias = [0.02, 0.017, 0.018], [-2.1, -2.0, -1.8]

    ran = converted(
        run_kind, tmp_path, path, labels=LABELS, precision="float32",
        inputs=[given(**{**PHOTO, "colour": "BGR", "scale": scale, "bias": bias})],
    )  # fmt: skip

    pixels = np.asarray(photo(), np.float32)[None, :, :, ::-1]
    wanted = model(pixels * np.float32(scale) + np.float32(bias)).numpy()[0]
    answer = said(ran, {"photo": photo()})
    np.testing.assert_allclose([answer["classLabel_probs"][n] for n in LABELS], wanted, atol=1e-5)


def test_a_network_for_older_systems_is_a_neural_network(run_kind, tmp_path, net):
    model, path = net(), tmp_path / "net.h5"
    model.save(path)
    common = {
        "labels": LABELS, "inputs": [given(**PHOTO)], "format": "neuralnetwork",
        "target": "iOS14",
    }  # fmt: skip

    ran = converted(run_kind, tmp_path, path, precision="float32", **common)
    half = converted(run_kind, tmp_path, path, precision="float16", **common)

    answer = said(ran, {"photo": photo()})
    np.testing.assert_allclose(
        [answer["classLabel_probs"][n] for n in LABELS], model(fed(photo())).numpy()[0], atol=1e-5
    )
    assert ran.metrics["specification_version"] == 5
    assert half.ok, half.error
    assert half.metrics["size_mb"] < ran.metrics["size_mb"]


@pytest.mark.parametrize("version", [2, 3])
def test_a_recurrent_network_whose_loops_cannot_be_read_is_written_out(
    run_kind, tmp_path, tf, version
):
    import keras

    layers = (keras if version == 3 else tf.keras).layers
    make = (keras if version == 3 else tf.keras).Model
    given_ = layers.Input((3, 3), name="rows")
    x = layers.GRU(2)(given_)
    model = make(given_, layers.Dense(2, name="value")(x))
    path = tmp_path / "net.keras"
    model.save(path)

    ran = converted(run_kind, tmp_path, path, precision="float32", output_names=["value"])

    rows = array(shape=(1, 3, 3))
    np.testing.assert_allclose(
        said(ran, {"rows": rows})["value"], model(rows).numpy(), rtol=1e-4, atol=1e-5
    )
    assert "written out" in ran.log


def test_equal_models_are_equal_bytes(run_kind, tmp_path, net, tree):
    path = tmp_path / "net.h5"
    net().save(path)

    one, two = (converted(run_kind, tmp_path, path, labels=LABELS) for _ in "ab")

    assert tree(one.outputs["model"]) == tree(two.outputs["model"])


def test_a_wrong_conversion_is_refused(run_kind, tmp_path, net, monkeypatch):
    # The converter's own fault is played: a batch normalisation with another epsilon.
    import coremltools as ct

    path = tmp_path / "net.h5"
    net().save(path)
    right = ct.convert

    def wrong(graph_def, **options):
        for node in graph_def.node:
            if "epsilon" in node.attr:
                node.attr["epsilon"].f = 0.9
            for inner in (node,) if node.op == "Const" and "add/y" in node.name else ():
                inner.attr["value"].tensor.float_val[:] = [0.9]
        return right(graph_def, **options)

    monkeypatch.setattr(ct, "convert", wrong)

    ran = converted(run_kind, tmp_path, path, labels=LABELS, precision="float32")

    assert ran.error.startswith("the converted model differs from TensorFlow by ")
    assert ran.error.endswith(" of the greatest value on a drawn example, allowed is 0.001")


def test_values_that_are_not_finite_are_refused(run_kind, tmp_path, tf):
    layers = tf.keras.layers
    given_ = layers.Input((4,), name="x")
    big = layers.Rescaling(1e6)(layers.Rescaling(1e3)(given_))
    tf.keras.Model(given_, layers.Rescaling(1e-9, name="small")(big)).save(tmp_path / "net.keras")

    ran = converted(run_kind, tmp_path, tmp_path / "net.keras", precision="float16")
    whole = converted(run_kind, tmp_path, tmp_path / "net.keras", precision="float32")

    assert ran.error == (
        "the converted model gives values that are not finite where TensorFlow's are"
    )
    assert ran.hint == "in float16 numbers end at 65504: convert with `precision: float32`"
    assert whole.ok, whole.error


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"labels": ["a", "b"]}, "labels: 2 are given, the model has 3"),
        (
            {"inputs": [given(name="a"), given(name="b")]},
            "inputs: 2 are given, the model takes 1: photo [any, 16, 16, 3]",
        ),
        (
            {"inputs": [given(name="a", shape=[1, 8, 8, 3])]},
            "input 'photo': shape [1, 8, 8, 3], the model takes [any, 16, 16, 3]",
        ),
        (
            {"inputs": [given(name="a", kind="image", colour="GRAY")]},
            "input 'a' is a picture of 1 channels, the model takes [any, 16, 16, 3]",
        ),
        (
            {"output_tensors": ["x"]},
            "output_tensors: are of a frozen graph, this is a Keras model",
        ),
        ({"output_names": ["a", "b"]}, "output_names: 2 names, the model has 1 outputs: scores"),
        ({"signature": "x"}, "signature: x, but net.h5 is no SavedModel"),
    ],
)
def test_what_does_not_fit_the_model_is_told(run_kind, tmp_path, net, params, message):
    path = tmp_path / "net.h5"
    net().save(path)

    assert converted(run_kind, tmp_path, path, **params).error == message


def test_sizes_that_a_model_leaves_open_are_asked_for(run_kind, tmp_path, tf):
    layers = tf.keras.layers
    given_ = layers.Input((None, 3), name="rows")
    model = tf.keras.Model(given_, layers.GlobalAveragePooling1D(name="mean")(given_))
    model.save(tmp_path / "net.h5")

    refused = converted(run_kind, tmp_path, tmp_path / "net.h5")
    ranged = converted(
        run_kind, tmp_path, tmp_path / "net.h5", precision="float32",
        inputs=[given(name="rows", shape=[1, [2, 9], 3])],
    )  # fmt: skip

    assert refused.error == "input 'rows' leaves sizes open: [any, any, 3]"
    assert refused.hint == "give them: inputs: {rows: {shape: [1, ?, 3]}}"
    rows = array(shape=(1, 5, 3))
    np.testing.assert_allclose(said(ranged, {"rows": rows})["mean"], rows.mean(axis=1), atol=1e-5)


def test_the_report_is_plain_json(run_kind, tmp_path, net):
    path = tmp_path / "net.h5"
    net().save(path)

    facts = json.loads(converted(run_kind, tmp_path, path).text("report"))

    assert facts["verified"]["largest_difference"] < 5e-2
