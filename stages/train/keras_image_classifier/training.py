"""Training by gradient steps, with pictures that are changed at random."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._shared.gradient_steps.schedule import factor
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing
from .augment import augment

_ASKED_AT_ONCE = 64
_RATE = {"scratch": 0.003, "tune": 0.0003}


@dataclass
class Examples:
    """Fitted pictures with their classes."""

    pixels: np.ndarray  # uint8 [N, H, W, C]
    truth: np.ndarray  # [N]


@dataclass
class History:
    """How a training went."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


def train(
    tf: Any,
    net: Any,
    trained: list[Any],
    learn: Examples,
    watch: Examples | None,
    how: Preprocessing,
    params: Any,
    epochs: int,
    tuning: bool,
    tell: Callable[[int, int, str], None],
) -> History:
    """Train in place.

    Args:
        tf: TensorFlow.
        net: gives logits.
        trained: variables that change.
        learn: what is learnt.
        watch: what decides when to stop; its best epoch's weights are kept.
        how: how pixels are scaled.
        params: of the kind.
        epochs: at most so many.
        tuning: whether a pretrained network is trained further: its statistics stay.
        tell: takes (done, total, text) after each epoch.

    Raises:
        Problem: the loss is no longer a number.
    """
    rate = params.learning_rate or _RATE["tune" if tuning else "scratch"]
    optimizer = _optimizer(tf, params, rate)
    optimizer.build(trained)
    step = _stepper(tf, net, trained, optimizer, params, not tuning, _weights(learn.truth, params))
    random = np.random.default_rng(params.seed)
    at = factor(params, math.ceil(len(learn.truth) / params.batch_size), epochs)
    history, best, kept, done = History(best_epoch=epochs), math.inf, None, 0
    for epoch in range(1, epochs + 1):
        total, right = 0.0, 0
        for chosen in _batches(len(learn.truth), params.batch_size, random):
            optimizer.learning_rate.assign(rate * at(done))
            pixels = augment(tf, learn.pixels[chosen], params.augment, random, how)
            loss, hits = step(tf.constant(scaled(pixels, how)), tf.constant(learn.truth[chosen]))
            if not np.isfinite(loss):
                hint = "lower learning_rate"
                raise Problem("training diverged: the loss is not a number", hint=hint)
            total, right, done = total + float(loss) * len(chosen), right + int(hits), done + 1
        count = len(learn.truth)
        row = {"epoch": epoch, "loss": total / count, "accuracy": right / count}
        if watch is not None:
            row.update(_watched(ask(net, watch.pixels, how), watch.truth))
            if row["validation_loss"] < best:
                best, kept = row["validation_loss"], net.get_weights()
                history.best_epoch = epoch
        history.rows.append(row)
        tell(epoch, epochs, _text(row))
        if params.patience and watch is not None and epoch - history.best_epoch >= params.patience:
            break
    if kept is not None:
        net.set_weights(kept)
    return history


def ask(net: Any, pixels: np.ndarray, how: Preprocessing) -> np.ndarray:
    """What a network gives, shapes uint8 [N, H, W, C] -> float64 [N, K]."""
    parts = [
        net(scaled(pixels[start : start + _ASKED_AT_ONCE].astype(np.float32), how), training=False)
        for start in range(0, len(pixels), _ASKED_AT_ONCE)
    ]
    return np.concatenate([part.numpy() for part in parts]).astype(np.float64)


def scaled(pixels: np.ndarray, how: Preprocessing) -> np.ndarray:
    """Pixels from 0 to 255 as the network reads them, channels last."""
    pixels = pixels[..., ::-1] if how.colour == "BGR" else pixels
    return ((pixels - np.float32(how.mean)) / np.float32(how.std)).astype(np.float32)


def _stepper(
    tf: Any, net: Any, trained: list[Any], optimizer: Any, params: Any, moving: bool, weights: Any
) -> Any:
    @tf.function(reduce_retracing=True)
    def step(batch: Any, truth: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = net(batch, training=moving)
            wanted = tf.one_hot(truth, logits.shape[-1])
            soft = params.label_smoothing
            wanted = wanted * (1 - soft) + soft / logits.shape[-1]
            each = tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
            share = tf.gather(weights, truth)
            loss = tf.reduce_sum(each * share) / tf.reduce_sum(share)
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return loss, tf.reduce_sum(tf.cast(tf.argmax(logits, -1) == truth, tf.int32))

    return step


def _optimizer(tf: Any, params: Any, rate: float) -> Any:
    kinds = tf.keras.optimizers
    common = {"learning_rate": rate, "weight_decay": params.weight_decay or None}
    if params.optimizer == "sgd":
        return kinds.SGD(momentum=params.momentum, **common)
    return (kinds.AdamW if params.optimizer == "adamw" else kinds.Adam)(
        learning_rate=rate, weight_decay=params.weight_decay
    )


def _batches(count: int, size: int, random: Any) -> Iterator[np.ndarray]:
    order = random.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def _weights(truth: np.ndarray, params: Any) -> np.ndarray:
    counts = np.maximum(np.bincount(truth), 1)
    if params.class_weight != "balanced":
        return np.ones(len(counts), np.float32)
    return (len(truth) / (len(counts) * counts)).astype(np.float32)


def _watched(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    given = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return {
        "validation_loss": float(-given[np.arange(len(truth)), truth].mean()),
        "validation_accuracy": float((logits.argmax(axis=1) == truth).mean()),
    }


def _text(row: dict[str, float]) -> str:
    words = [f"epoch {row['epoch']}", f"loss {row['loss']:.3f}", f"accuracy {row['accuracy']:.3f}"]
    if "validation_loss" in row:
        words.append(f"validation {row['validation_accuracy']:.3f}")
    return ", ".join(words)
