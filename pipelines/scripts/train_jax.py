"""Trains a small convolutional network in JAX on pictures; leaves what jax.export writes.

A zip archive behind the file says what the numbers cannot: labels, how pictures are prepared.
"""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from PIL import Image

WIDTHS = (16, 32)
MEAN, STD = 33.0, 78.0  # of a pixel, 0 to 255
AXES = ("NHWC", "HWIO", "NHWC")


def run(job):
    """Train on ``images``, judge on ``test``, export to ``model``."""
    labels = sorted(p.name for p in job.inputs["images"].iterdir() if p.is_dir())
    pictures, truth = read(job.inputs["images"], labels)
    key = jax.random.key(job.params.seed)
    net = start(key, len(labels))
    slope, square = jax.tree.map(jnp.zeros_like, net), jax.tree.map(jnp.zeros_like, net)
    order, batch, done = np.random.default_rng(job.params.seed), job.params.batch, 0
    steps = len(truth) // batch
    for epoch in range(job.params.epochs):
        places, losses = order.permutation(len(truth)), []
        for at in range(steps):
            chosen = places[at * batch : (at + 1) * batch]
            done += 1
            net, slope, square, lost = step(
                net, slope, square, done, pictures[chosen], truth[chosen]
            )
            losses.append(float(lost))
        job.progress(epoch + 1, job.params.epochs, f"epoch {epoch + 1}, loss {np.mean(losses):.3f}")
    held, right = read(job.inputs["test"], labels)
    hits = np.argmax(jax.jit(logits)(net, held), axis=1) == right
    job.metric("accuracy", float(hits.mean()), n=len(hits))
    write(net, labels, pictures.shape[1:], job.outputs["model"])


def read(folder, labels):
    """All pictures of a folder for each label: [N, H, W, 1] and [N]."""
    files = [(p, i) for i, label in enumerate(labels) for p in sorted((folder / label).iterdir())]
    pixels = [np.asarray(Image.open(p).convert("L"), np.float32) for p, _ in files]
    return (np.stack(pixels)[..., None] - MEAN) / STD, np.array([i for _, i in files])


def start(key, classes):
    """Random weights, scaled for rectifiers."""
    net, before = [], 1
    for width in WIDTHS:
        key, own = jax.random.split(key)
        scale = (2 / (9 * before)) ** 0.5
        net.append((jax.random.normal(own, (3, 3, before, width)) * scale, jnp.zeros(width)))
        before = width
    key, own = jax.random.split(key)
    net.append((jax.random.normal(own, (before * 49, classes)) * 0.01, jnp.zeros(classes)))
    return net


def logits(net, x):
    """[N, 28, 28, 1] -> [N, K]."""
    for weight, bias in net[:-1]:
        x = jax.nn.relu(
            lax.conv_general_dilated(x, weight, (1, 1), "SAME", None, None, AXES) + bias
        )
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return x.reshape(x.shape[0], -1) @ net[-1][0] + net[-1][1]


def loss(net, x, y):
    """Mean cross-entropy."""
    scores = jax.nn.log_softmax(logits(net, x))
    return -scores[jnp.arange(len(y)), y].mean()


@jax.jit
def step(net, slope, square, count, x, y):
    """One step of Adam (Kingma and Ba, 2015)."""
    lost, found = jax.value_and_grad(loss)(net, x, y)
    slope = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, slope, found)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, found)
    rate = 2e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    net = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), net, slope, square)
    return net, slope, square, lost


def write(net, labels, shape, file):
    """The trained function of one picture, and behind it what it is."""
    given = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    found = export.export(jax.jit(lambda image: logits(net, image)), platforms=["cpu"])(given)
    file.write_bytes(bytes(found.serialize()))
    prepared = {"height": shape[0], "width": shape[1], "colour": "GRAY", "crop": 1.0}
    described = {
        "inputs": [
            {
                "name": "image",
                "kind": "image",
                "layout": "NHWC",
                "shape": [1, *shape],
                "dtype": "float32",
                "preprocessing": {**prepared, "mean": [MEAN], "std": [STD]},
            }
        ],
        "outputs": [{"name": "logits", "gives": "logits"}],
        "labels": labels,
        "task": "classifier",
    }
    member = zipfile.ZipInfo("mlbuild.description.json", (1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, json.dumps(described, sort_keys=True))
