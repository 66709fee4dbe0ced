"""Models of TensorFlow answer as TensorFlow itself does."""

import json
import zipfile

import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
KIND = "predict/outputs"


def answers(ran):
    assert ran.ok, ran.error
    facts = json.loads((ran.outputs["predictions"] / "predictions.json").read_text())
    with np.load(ran.outputs["predictions"] / "arrays.npz") as data:
        return facts, {name: data[name] for name in data.files}


def asked(samples):
    return np.concatenate([np.load(p)["photo"] for p in sorted(samples.iterdir())])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_keras_file_answers_as_its_model(run_kind, tmp_path, net, samples, suffix):
    model, path = net(), tmp_path / f"net{suffix}"
    model.save(path)

    facts, found = answers(
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": path, "samples": samples})
    )

    assert facts["format"] == "Keras"
    np.testing.assert_allclose(
        found["scores"][:, 0], model(asked(samples)).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_files_of_keras_3_are_read_by_keras_3(run_kind, tmp_path, net, samples, suffix):
    import keras

    model, path = net(keras=keras), tmp_path / f"net{suffix}"
    model.save(path)

    _, found = answers(
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": path, "samples": samples})
    )

    np.testing.assert_allclose(
        found["scores"][:, 0], np.asarray(model(asked(samples))), rtol=1e-5, atol=1e-6
    )


def test_a_saved_model_answers_by_the_names_of_its_signature(run_kind, tmp_path, tf, net, samples):
    model = net()
    tf.saved_model.save(model, str(tmp_path / "saved"))

    facts, found = answers(
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": tmp_path / "saved", "samples": samples})
    )

    assert facts["format"] == "SavedModel"
    np.testing.assert_allclose(
        found["scores"][:, 0], model(asked(samples)).numpy(), rtol=1e-5, atol=1e-6
    )


def test_a_frozen_graph_answers_by_the_names_of_its_nodes(run_kind, tmp_path, tf, frozen, samples):
    path, model = frozen(tmp_path / "net.pb")

    facts, found = answers(
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": path, "samples": samples})
    )

    assert facts["format"] == "FrozenGraph"
    np.testing.assert_allclose(
        found["Softmax"][:, 0], model(asked(samples)).numpy(), rtol=1e-5, atol=1e-6
    )


def with_code(tf, path):
    layers = tf.keras.layers
    given = layers.Input((16, 16, 3), name="photo")
    x = layers.GlobalAveragePooling2D()(layers.Lambda(lambda v: v * 3.0)(given))
    model = tf.keras.Model(given, x)
    model.save(path)
    return model


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_code_in_a_file_runs_only_where_it_is_trusted(run_kind, tmp_path, tf, samples, suffix):
    path = tmp_path / f"net{suffix}"
    model = with_code(tf, path)
    inputs = {"model": path, "samples": samples}

    refused = run_kind(KIND, tmp_path=tmp_path, inputs=inputs)
    _, found = answers(run_kind(KIND, tmp_path=tmp_path, inputs=inputs, trust=("model",)))

    assert refused.error == (
        f"{path.name} has a Lambda layer, which is Python code that runs when it is read"
    )
    assert "trust: true" in refused.hint
    (only,) = found.values()
    np.testing.assert_allclose(only[:, 0], model(asked(samples)).numpy(), rtol=1e-5, atol=1e-6)


def damaged(tmp_path, tf, net, which):
    path = tmp_path / {"weights": "w.h5", "zip": "z.keras", "name": "n.keras"}.get(which, "x.h5")
    if which == "weights":
        net().save_weights(path)
    elif which == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", "{}")
    elif which == "name":
        net().save(tmp_path / "n.h5")
        (tmp_path / "n.h5").rename(path)
    else:
        path.write_bytes(b"nothing")
    return path


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("weights", "w.h5 holds weights alone, no model"),
        ("zip", "z.keras is a damaged Keras file: 'keras_version'"),
        ("name", "n.keras is a .h5 file by its content: give it that suffix"),
        ("other", "x.h5 is no Keras model: neither HDF5 nor a .keras archive"),
    ],
)
def test_what_is_wrong_with_a_keras_file_is_told(
    run_kind, tmp_path, tf, net, samples, which, message
):
    path = damaged(tmp_path, tf, net, which)

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": path, "samples": samples})

    assert (ran.error, ran.kind) == (message, "failure")


def test_a_layer_that_keras_does_not_have_is_told(run_kind, tmp_path, tf, samples):
    class Own(tf.keras.layers.Layer):
        def call(self, x):
            return x

    given = tf.keras.Input((16, 16, 3))
    tf.keras.Model(given, Own()(given)).save(tmp_path / "own.h5")

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": tmp_path / "own.h5", "samples": samples}
    )

    assert ran.error.startswith("own.h5 cannot be read by Keras 2: Unknown layer: 'Own'")
    assert "SavedModel" in ran.hint


def test_a_graph_whose_weights_are_variables_is_told(run_kind, tmp_path, tf, samples):
    graph = tf.Graph()
    with graph.as_default():
        tf.random.set_seed(1)
        x = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], name="x")
        tf.add(x, tf.compat.v1.get_variable("w", [3], use_resource=False), name="y")
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())

    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": tmp_path / "net.pb", "samples": samples}
    )

    assert ran.error == ("net.pb is not frozen: w is a variable, whose value is not in the graph")
