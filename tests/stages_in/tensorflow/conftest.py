"""Tiny networks of Keras, as files that a user would have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest


def pytest_collection_modifyitems(items: Any) -> None:
    """What Keras and TensorFlow warn of is theirs: formats, numpy's next version."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for kind in ("UserWarning", "DeprecationWarning", "FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind}"))


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow, on one thread."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


@pytest.fixture(scope="session")
def net(tf: Any) -> Any:
    """``net()``: pictures of 16 pixels to three probabilities; ``net(softmax=False)``: logits."""

    def make(softmax: bool = True, seed: int = 0, keras: Any = None) -> Any:
        layers = (keras or tf.keras).layers
        (keras or tf.keras).utils.set_random_seed(seed)
        given = layers.Input((16, 16, 3), name="photo")
        x = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(given)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.ReLU(name="relu")(x)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(3, activation="softmax" if softmax else None, name="scores")(x)
        model = (keras or tf.keras).Model(given, x)
        random = np.random.default_rng(seed)
        model.set_weights(
            [w + random.normal(size=w.shape) * 0.3 for w in model.get_weights()[:-2]]
            + [random.normal(size=w.shape) for w in model.get_weights()[-2:]]
        )
        model.get_layer("norm").moving_variance.assign(np.full(4, 1.5, np.float32))
        return model

    return make


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Three pictures as arrays, channels last."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for place in range(3):
        array = np.random.default_rng(place).normal(size=(1, 16, 16, 3)).astype(np.float32)
        np.savez(folder / f"{place}.npz", photo=array)
    return folder


@pytest.fixture
def frozen(tf: Any, net: Any) -> Any:
    """``frozen(path) -> (path, model)``: the network as a graph of TensorFlow 1's days."""

    def write(path: Path) -> Any:
        model = net()
        weights = {w.name: w.numpy() for w in model.weights}
        graph = tf.Graph()
        with graph.as_default():
            x = tf.compat.v1.placeholder(tf.float32, [None, 16, 16, 3], name="image")
            x = tf.nn.conv2d(x, weights["first/kernel:0"], 2, "SAME") + weights["first/bias:0"]
            x = tf.nn.batch_normalization(
                x, weights["norm/moving_mean:0"], weights["norm/moving_variance:0"],
                weights["norm/beta:0"], weights["norm/gamma:0"], 1e-3,
            )  # fmt: skip
            x = tf.reduce_mean(tf.nn.relu(x), [1, 2])
            x = tf.matmul(x, weights["scores/kernel:0"]) + weights["scores/bias:0"]
            tf.nn.softmax(x, name="Softmax")
        path.write_bytes(graph.as_graph_def().SerializeToString())
        return path, model

    return write


@pytest.fixture
def tree() -> Any:
    """``tree(path) -> {relative path: bytes}``: what two equal results agree in."""

    def read(path: Path) -> Any:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return {str(p.relative_to(path.parent)): p.read_bytes() for p in files}

    return read
