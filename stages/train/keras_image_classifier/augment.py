"""Random changes of a batch of pictures, drawn from one generator of numpy's.

Source: TensorFlow API, ImageProjectiveTransformV3: a row of eight numbers maps a place of the
result to one of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._shared.torch_model.preprocessing import Preprocessing


def augment(
    tf: Any, pixels: np.ndarray, options: Mapping[str, Any], random: Any, how: Preprocessing
) -> np.ndarray:
    """Change each picture of a batch differently.

    Args:
        tf: TensorFlow.
        pixels: 0 to 255, shape [N, H, W, C].
        options: of the kind's ``augment``.
        random: numpy's generator.
        how: its mean is the colour of what lies outside a picture.

    Returns:
        float32 of the same shape and range.
    """
    batch = pixels.astype(np.float32)
    if any(options[name] for name in ("flip", "rotate", "zoom", "shift")):
        batch = _moved(tf, batch, options, random, how)
    batch = batch * _factor(batch, options["brightness"], random)
    mean = batch.mean(axis=(1, 2, 3), keepdims=True)
    batch = (batch - mean) * _factor(batch, options["contrast"], random) + mean
    if batch.shape[3] > 1:
        grey = batch.mean(axis=3, keepdims=True)
        batch = (batch - grey) * _factor(batch, options["saturation"], random) + grey
    return np.clip(batch, 0, 255)


def _moved(
    tf: Any, batch: np.ndarray, options: Mapping[str, Any], random: Any, how: Preprocessing
) -> np.ndarray:
    count, high, wide, _ = batch.shape
    angle = random.uniform(-1, 1, count) * np.radians(options["rotate"])
    zoom = 1 + random.uniform(-1, 1, count) * options["zoom"]
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0) if options["flip"] else 1.0
    across = random.uniform(-1, 1, count) * options["shift"] * wide
    down = random.uniform(-1, 1, count) * options["shift"] * high
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    middle = (wide - 1) / 2, (high - 1) / 2
    rows = np.zeros((count, 8), np.float32)
    rows[:, 0], rows[:, 1] = cos * mirror, -sin
    rows[:, 3], rows[:, 4] = sin * mirror, cos
    # The middle of the result is the middle of the picture, moved.
    rows[:, 2] = middle[0] - rows[:, 0] * middle[0] - rows[:, 1] * middle[1] + across
    rows[:, 5] = middle[1] - rows[:, 3] * middle[0] - rows[:, 4] * middle[1] + down
    fill = np.float32(how.mean[::-1] if how.colour == "BGR" else how.mean)
    if not fill.any():  # a network that scales pixels itself
        fill = np.float32([127.5])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=batch - fill,
        transforms=rows,
        output_shape=[high, wide],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return moved.numpy() + fill


def _factor(batch: np.ndarray, width: float, random: Any) -> np.ndarray:
    drawn = 1 + random.uniform(-1, 1, len(batch)) * width
    return drawn.astype(np.float32)[:, None, None, None]
