"""The networks: those of tf.keras.applications with weights from a file, or a small one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.keras_model.applications import APPLICATIONS, SCALINGS, where
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing

_SMALL_SIDE = 32
FEATURES = "features"  # the layer whose output is the features


def preprocessing_of(params: Any) -> Preprocessing:
    """How a picture becomes the network's input."""
    known = APPLICATIONS.get(params.backbone)
    side = params.image_size or (known.side if known else _SMALL_SIDE)
    colour, mean, std = SCALINGS[known.scaling if known else "tf"]
    if params.grayscale:
        colour, mean, std = "GRAY", mean[:1], std[:1]
    return Preprocessing(
        height=side,
        width=side,
        colour=colour,
        mean=mean,
        std=std,
        resize=params.resize,
        crop=params.crop,
        interpolation=params.interpolation,
    )


def weights_file(job: Any) -> Path | None:
    """The file that the backbone starts from.

    Raises:
        Problem: weights are asked for and not given, or given and not used.
    """
    params, file = job.params, job.inputs.get("weights")
    known = params.backbone in APPLICATIONS
    if file is not None and (not known or params.weights == "scratch"):
        raise Problem(f"the input 'weights' is not used: {params.backbone} learns from scratch")
    if file is None and params.weights == "imagenet":
        raise Problem(
            "weights: imagenet, but the input 'weights' is missing, and nothing is downloaded",
            hint=f"fetch the file of {params.backbone} from {where(params.backbone)} and give it: "
            "datasets: {weights: {url: ..., sha256: ...}}, inputs: {weights: datasets.weights}",
        )
    if file is None and known and params.fine_tune_layers:
        raise Problem("fine_tune_layers: without the input 'weights' the whole network is trained")
    return file


def backbone_of(tf: Any, params: Any, shape: Preprocessing, weights: Path | None) -> Any:
    """A fresh backbone: pictures [N, H, W, C] to features [N, F]."""
    tf.keras.backend.clear_session()  # equal networks have equal names
    given = tf.keras.Input((shape.height, shape.width, shape.channels), name="image")
    if params.backbone not in APPLICATIONS:
        return tf.keras.Model(given, _small(tf, params, given))
    base = _application(tf, params, given)
    if weights is not None:
        _load(tf, base, params, weights)
    pooled = tf.keras.layers.GlobalAveragePooling2D(name=FEATURES)(base.output)
    return tf.keras.Model(given, pooled)


def with_head(tf: Any, backbone: Any, classes: int, dropout: float) -> tuple[Any, Any]:
    """The whole network: one that gives logits, for training, and the one that is saved."""
    layers = tf.keras.layers
    x = layers.Dropout(dropout, name="dropout")(backbone.output) if dropout else backbone.output
    logits = layers.Dense(classes, name="logits")(x)
    scores = layers.Softmax(name="probabilities")(logits)
    return (
        tf.keras.Model(backbone.input, logits, name="training"),
        tf.keras.Model(backbone.input, scores, name="classifier"),
    )


def last_layers(backbone: Any, count: int) -> list[Any]:
    """Those that are trained further. Batch normalisations stay: few pictures would spoil them."""
    with_weights = [layer for layer in backbone.layers if layer.weights]
    return [x for x in with_weights[-count:] if "BatchNormalization" not in type(x).__name__]


def _small(tf: Any, params: Any, given: Any) -> Any:
    layers, x = tf.keras.layers, given
    shortest = 2 ** (len(params.channels) - 1)
    if given.shape[1] < shortest:
        raise Problem(f"{len(params.channels)} stages need pictures of {shortest} pixels at least")
    for place, width in enumerate(params.channels):
        if place:
            x = layers.MaxPooling2D(2, name=f"halve_{place}")(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv_{place}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{place}")(x)
        x = layers.ReLU(name=f"relu_{place}")(x)
    return layers.GlobalAveragePooling2D(name=FEATURES)(x)


def _application(tf: Any, params: Any, given: Any, top: bool = False) -> Any:
    known = APPLICATIONS[params.backbone]
    options: dict[str, Any] = {"weights": None, "include_top": top}
    if known.width and params.alpha is not None:
        options["alpha"] = params.alpha
    if not top:
        options["input_tensor"] = given
    return getattr(tf.keras.applications, params.backbone)(**options)


def _load(tf: Any, base: Any, params: Any, file: Path) -> None:
    """Weights of a file with or without the top; a wrong file is told, never half loaded."""
    held = _arrays(file)
    if len(held) == len(base.weights):
        _set(base, held, file, params)
        return
    whole = _application(tf, params, None, top=True)
    if len(held) != len(whole.weights):
        raise Problem(
            f"{file.name} holds {len(held)} arrays; {params.backbone} has {len(base.weights)} "
            f"without its top and {len(whole.weights)} with it",
            hint=f"fetch the file of {params.backbone} from {where(params.backbone)}",
        )
    _set(base, held[: len(base.weights)], file, params)


def _arrays(file: Path) -> list[np.ndarray]:
    """All weights of a file, in the order of its layers."""
    import h5py  # of this toolchain

    try:
        with h5py.File(file) as opened:
            root = opened.get("model_weights", opened)
            groups = [root[_text(name)] for name in root.attrs["layer_names"]]
            return [np.asarray(g[_text(n)]) for g in groups for n in g.attrs["weight_names"]]
    except (OSError, KeyError, ValueError) as error:
        raise Problem(
            f"{file.name} holds no weights that Keras wrote: {str(error).splitlines()[0]}",
            hint="an .h5 file is expected, as Keras's save_weights writes it",
        ) from error


def _set(base: Any, held: list[np.ndarray], file: Path, params: Any) -> None:
    # A file lists each layer's weights together, as the layers do themselves.
    variables = [variable for layer in base.layers for variable in layer.weights]
    for variable, array in zip(variables, held, strict=True):
        if tuple(variable.shape) != array.shape:
            raise Problem(
                f"{file.name}: weight {variable.name} has shape {list(array.shape)}, "
                f"{params.backbone} needs {list(variable.shape)}",
                hint="another network, or another alpha",
            )
        variable.assign(array)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
