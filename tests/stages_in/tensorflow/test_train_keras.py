"""Image classifiers trained in Keras."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.toolchain
KIND = "train/keras-image-classifier"
STILL = {
    "flip": False, "rotate": 0.0, "zoom": 0.0, "shift": 0.0, "brightness": 0.0, "contrast": 0.0,
    "saturation": 0.0,
}  # fmt: skip
SMALL = {"backbone": "small-cnn", "image_size": 16, "channels": [4, 8], "epochs": 3}


@pytest.fixture
def photos(tmp_path):
    """Red ones and blue ones, in folders."""

    def write(folder, count=8, seed=0):
        for place, (label, colour) in enumerate((("blue", 2), ("red", 0))):
            (folder / label).mkdir(parents=True)
            for number in range(count):
                random = np.random.default_rng([seed, place, number])
                values = random.integers(0, 120, (20, 24, 3))
                values[:, :, colour] += 130
                Image.fromarray(values.astype(np.uint8)).save(folder / label / f"{number}.png")
        return folder

    write(tmp_path / "test", 4, seed=1)
    return write(tmp_path / "photos")


def trained(run_kind, tmp_path, photos, **params):
    inputs = {"images": photos, "test": tmp_path / "test"}
    weights = params.pop("file", None)
    if weights is not None:
        inputs["weights"] = weights
    return run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params={**SMALL, **params})


def test_a_small_network_learns_from_scratch_and_says_what_it_said(run_kind, tmp_path, tf, photos):
    ran = trained(run_kind, tmp_path, photos, epochs=10, batch_size=4)

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["value"] == 1.0
    assert ran.metrics["accuracy"]["n"] == 8
    assert {"confusion", "training"} <= set(ran.plots)
    model = tf.keras.models.load_model(ran.outputs["model"], compile=False)
    asked = np.stack(
        [np.asarray(Image.open(p).resize((16, 16))) for p in sorted(tmp_path.glob("test/*/*.png"))]
    )
    said = model(asked / 127.5 - 1.0).numpy()
    assert said.argmax(axis=1).tolist() == [0] * 4 + [1] * 4
    assert [e["text"] for e in ran.events if e["event"] == "progress"][-1].startswith("epoch 10,")


def test_the_file_describes_itself_and_answers_in_other_kinds(run_kind, tmp_path, photos):
    ran = trained(run_kind, tmp_path, photos)

    asked = run_kind(
        "predict/outputs", tmp_path=tmp_path,
        inputs={"model": ran.outputs["model"], "samples": tmp_path / "test"},
    )  # fmt: skip
    made = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": ran.outputs["model"]},
        params={"precision": "float32"},
    )  # fmt: skip

    assert asked.ok, asked.error
    assert made.ok, made.error
    assert made.json("report")["labels"] == ["blue", "red"]
    with np.load(asked.outputs["predictions"] / "arrays.npz") as data:
        wanted = data["probabilities"][0, 0]
    from mlbuild.coreml import load

    first = sorted((tmp_path / "test").rglob("*.png"))[0]
    picture = Image.open(first).resize((16, 16), Image.Resampling.BICUBIC, box=(2, 0, 22, 20))
    answer = load(made.outputs["model"]).predict({"image": picture})
    got = [answer["classLabel_probs"][label] for label in ("blue", "red")]
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_equal_inputs_and_seeds_give_equal_bytes(run_kind, tmp_path, photos):
    one, two = (trained(run_kind, tmp_path, photos, dropout=0.3) for _ in "ab")
    other = trained(run_kind, tmp_path, photos, dropout=0.3, seed=1)

    assert one.outputs["model"].read_bytes() == two.outputs["model"].read_bytes()
    assert one.text("report") == two.text("report")
    assert one.outputs["model"].read_bytes() != other.outputs["model"].read_bytes()


@pytest.fixture(scope="module")
def weights(tf, tmp_path_factory):
    """Files of a narrow MobileNet, without and with its top, as their authors publish them."""
    folder = tmp_path_factory.mktemp("weights")
    for top in (False, True):
        tf.keras.utils.set_random_seed(3)
        net = tf.keras.applications.MobileNet(
            weights=None, include_top=top, alpha=0.25, input_shape=(224 if top else 32,) * 2 + (3,)
        )
        net.save_weights(str(folder / f"top-{top}.h5"))
    return folder


NARROW = {"backbone": "MobileNet", "alpha": 0.25, "image_size": 32, "views": ["center"]}


@pytest.mark.parametrize("top", [pytest.param(False, marks=pytest.mark.campaign), True])
def test_a_head_is_fitted_on_the_features_of_a_file(run_kind, tmp_path, tf, photos, weights, top):
    file = weights / f"top-{top}.h5"
    ran = trained(run_kind, tmp_path, photos, file=file, **NARROW)

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 8
    assert "strength" in ran.metrics
    model = tf.keras.models.load_model(ran.outputs["model"], compile=False)
    tf.keras.backend.clear_session()
    net = tf.keras.applications.MobileNet(
        weights=None, include_top=False, alpha=0.25, input_shape=(32, 32, 3), pooling="avg"
    )
    if not top:
        net.load_weights(str(file))
        x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
        features = tf.keras.Model(model.input, model.get_layer("features").output)
        np.testing.assert_allclose(features(x).numpy(), net(x).numpy(), rtol=1e-4, atol=1e-5)


def test_the_last_layers_are_tuned_and_the_first_are_left_alone(
    run_kind, tmp_path, tf, photos, weights
):
    ran = trained(
        run_kind, tmp_path, photos, file=weights / "top-False.h5", fine_tune_layers=3,
        epochs=1, **NARROW,
    )  # fmt: skip

    assert ran.ok, ran.error
    model = tf.keras.models.load_model(ran.outputs["model"], compile=False)
    tf.keras.backend.clear_session()
    net = tf.keras.applications.MobileNet(
        weights=None, include_top=False, alpha=0.25, input_shape=(32, 32, 3)
    )
    net.load_weights(str(weights / "top-False.h5"))
    moved = {
        layer.name
        for layer in net.layers
        if layer.weights
        and any(
            (old != new).any()
            for old, new in zip(
                layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True
            )
        )
    }
    assert moved == {"conv_pw_13"}  # the last three are it and two batch normalisations


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        (
            {"backbone": "Xception", "weights": "imagenet", "image_size": 71},
            "weights: imagenet, but the input 'weights' is missing, and nothing is downloaded",
            "fetch the file of Xception from https://storage.googleapis.com/tensorflow/"
            "keras-applications/xception/ and give it: datasets: {weights: {url: ..., "
            "sha256: ...}}, inputs: {weights: datasets.weights}",
        ),
        (
            {"backbone": "MobileNet", "fine_tune_layers": 2, "image_size": 32},
            "fine_tune_layers: without the input 'weights' the whole network is trained",
            None,
        ),
        ({"channels": [4] * 6}, "6 stages need pictures of 32 pixels at least", None),
        ({"evaluate": "holdout"}, "evaluate: holdout, but the input 'test' is not used", None),
        (
            {"learning_rate": 10.0, "optimizer": "sgd", "epochs": 50, "momentum": 0.99},
            "training diverged: the loss is not a number",
            "lower learning_rate",
        ),
    ],
)
def test_what_cannot_be_trained_is_told(run_kind, tmp_path, photos, params, message, hint):
    if "diverged" in message:
        for file in photos.rglob("*.png"):
            Image.new("RGB", (20, 20), "white").save(file)
        params = {**params, "learning_rate": 1e30, "augment": STILL}
    ran = trained(run_kind, tmp_path, photos, **params)

    assert (ran.error, ran.hint) == (message, hint)


def test_a_file_of_another_network_is_told(run_kind, tmp_path, photos, weights):
    file = weights / "top-False.h5"
    (tmp_path / "text.h5").write_text("no weights")

    other = trained(run_kind, tmp_path, photos, file=file, backbone="MobileNetV2", image_size=32)
    wide = trained(run_kind, tmp_path, photos, file=file, **{**NARROW, "alpha": 0.5})
    none = trained(run_kind, tmp_path, photos, file=tmp_path / "text.h5", **NARROW)
    unused = trained(run_kind, tmp_path, photos, file=file)

    assert other.error == (
        "top-False.h5 holds 135 arrays; MobileNetV2 has 260 without its top and 262 with it"
    )
    assert wide.error == (
        "top-False.h5: weight conv1/kernel:0 has shape [3, 3, 3, 8], MobileNet needs [3, 3, 3, 16]"
    )
    assert none.error.startswith("text.h5 holds no weights that Keras wrote: ")
    assert unused.error == "the input 'weights' is not used: small-cnn learns from scratch"


def test_pixels_are_scaled_as_each_network_of_keras_expects(tf):
    from stages._shared.keras_model.applications import APPLICATIONS, SCALINGS

    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    for name, known in sorted(APPLICATIONS.items()):
        module = getattr(tf.keras.applications, known.module)
        colour, mean, std = SCALINGS[known.scaling]
        turned = pixels[..., ::-1] if colour == "BGR" else pixels
        ours = (turned - np.float32(mean)) / np.float32(std)
        theirs = module.preprocess_input(pixels.copy())
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=name)
        assert hasattr(tf.keras.applications, name)
