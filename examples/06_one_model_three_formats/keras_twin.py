"""The torch network again in Keras, with the same weights: TensorFlow Lite starts from there."""

import json

import h5py
import tensorflow as tf
from safetensors.numpy import load_file

KEY = "mlbuild.description"  # where a model says what it takes and gives


def run(job):
    """Build, fill, describe, save."""
    folder = job.inputs["model"]
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    weights = load_file(str(folder / "model.safetensors"))
    net = build(facts, weights)
    path = str(job.outputs["net"])
    net.save(path, include_optimizer=False)
    with h5py.File(path, "a") as file:
        file.attrs[KEY] = json.dumps(described(facts), sort_keys=True)


def build(facts, weights):
    """Two convolutions a stage, halved between stages, as torch's small-cnn."""
    layers = tf.keras.layers
    how = facts["preprocessing"]
    image = layers.Input(
        (how["height"], how["width"], facts["architecture"]["arguments"]["in_channels"]),
        name="image",
    )
    filled = []
    x = image
    stages = len(facts["architecture"]["arguments"]["channels"])
    for stage in range(stages):
        for place in (0, 3):  # convolution, normalisation, ReLU; twice
            kernel = weights[f"stages.{stage}.{place}.weight"]
            convolution = layers.Conv2D(kernel.shape[0], 3, padding="same", use_bias=False)
            norm = layers.BatchNormalization(epsilon=1e-5)
            x = layers.ReLU()(norm(convolution(x)))
            name = f"stages.{stage}.{place + 1}"
            parts = ("weight", "bias", "running_mean", "running_var")
            filled.append((convolution, [kernel.transpose(2, 3, 1, 0)]))
            filled.append((norm, [weights[f"{name}.{part}"] for part in parts]))
        if stage + 1 < stages:
            x = layers.MaxPooling2D()(x)
    head = layers.Dense(len(facts["labels"]), name="logits")
    x = head(layers.GlobalAveragePooling2D()(x))
    filled.append((head, [weights["head.weight"].T, weights["head.bias"]]))
    for layer, values in filled:
        layer.set_weights(values)
    return tf.keras.Model(image, x)


def described(facts):
    """What later stages need to know: how pictures come in, what goes out."""
    how = facts["preprocessing"]
    channels = facts["architecture"]["arguments"]["in_channels"]
    shape = [1, how["height"], how["width"], channels]
    image = {"name": "image", "kind": "image", "layout": "NHWC", "shape": shape, "dtype": "float32"}
    return {
        "inputs": [{**image, "preprocessing": how}],
        "outputs": [{"name": "logits", "gives": "logits"}],
        "labels": facts["labels"],
        "task": "classifier",
    }
