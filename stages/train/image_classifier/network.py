"""Training a network by gradient steps: from scratch, or the last blocks of a pretrained one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..._shared.gradient_steps.optimizer import make_optimizer
from ..._shared.gradient_steps.schedule import factor
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.vision_training.augment import augment

_ASKED_AT_ONCE = 64
_LEARNING_RATE = {"scratch": 0.003, "tune": 0.0003}


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
    net: nn.Module,
    learn: Examples,
    watch: Examples | None,
    preprocessing: Preprocessing,
    params: Any,
    epochs: int,
    tell: Callable[[int, int, str], None],
) -> History:
    """Train in place.

    Args:
        net: ends in eval mode; with ``fine_tune_blocks`` only those and the head are changed.
        learn: what is learnt.
        watch: what decides when to stop; its best epoch's weights are kept.
        preprocessing: how pixels are scaled.
        params: of the kind.
        epochs: at most so many.
        tell: takes (done, total, text) after each epoch.

    Raises:
        Problem: the loss is no longer a number.
    """
    tuned = _prepare(net, params)
    rate = _LEARNING_RATE["tune" if params.fine_tune_blocks else "scratch"]
    optimizer = make_optimizer(tuned, params, rate)
    steps = math.ceil(len(learn.truth) / params.batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(params, steps, epochs))
    generator = torch.Generator().manual_seed(params.seed)
    history, best, kept = History(best_epoch=epochs), math.inf, None
    for epoch in range(1, epochs + 1):
        _mode(net, params)
        row = _epoch(net, learn, preprocessing, params, optimizer, scheduler, generator)
        net.eval()
        row = {"epoch": epoch, **row}
        if watch is not None:
            row.update(_watch(net, watch, preprocessing))
            if row["validation_loss"] < best:
                best, kept = row["validation_loss"], copy.deepcopy(net.state_dict())
                history.best_epoch = epoch
        history.rows.append(row)
        tell(epoch, epochs, _text(row))
        if params.patience and watch is not None and epoch - history.best_epoch >= params.patience:
            break
    if kept is not None:
        net.load_state_dict(kept)
    net.eval()
    return history


def ask(net: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Logits, shapes uint8 [N, H, W, C] -> float64 [N, K]."""
    net.eval()
    batches = []
    with torch.no_grad():
        for start in range(0, len(pixels), _ASKED_AT_ONCE):
            batch = _pixels(pixels[start : start + _ASKED_AT_ONCE], preprocessing)
            batches.append(net(_scaled(batch, preprocessing)))
    return torch.cat(batches).double().numpy()


def _prepare(net: nn.Module, params: Any) -> list[nn.Parameter]:
    if not params.fine_tune_blocks:
        return list(net.parameters())
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for block in [*net.blocks()[-params.fine_tune_blocks :], net.head]:
        for parameter in block.parameters():
            parameter.requires_grad_(True)
    return [p for p in net.parameters() if p.requires_grad]


def _mode(net: nn.Module, params: Any) -> None:
    net.train(not params.fine_tune_blocks)
    # Few pictures would spoil the statistics of a pretrained network: they stay as they are.
    net.dropout.train()


def _epoch(
    net: nn.Module,
    learn: Examples,
    preprocessing: Preprocessing,
    params: Any,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
    generator: torch.Generator,
) -> dict[str, float]:
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    weight = _class_weight(learn.truth, params)
    order = torch.randperm(len(learn.truth), generator=generator).numpy()
    loss_sum, right = 0.0, 0
    for start in range(0, len(order), params.batch_size):
        chosen = order[start : start + params.batch_size]
        batch = _pixels(learn.pixels[chosen], preprocessing)
        batch = _scaled(augment(batch, params.augment, generator, fill), preprocessing)
        truth = torch.from_numpy(learn.truth[chosen])
        out = net(batch)
        loss = cross_entropy(out, truth, weight=weight, label_smoothing=params.label_smoothing)
        if not torch.isfinite(loss):
            raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        loss_sum += float(loss.detach()) * len(chosen)
        right += int((out.detach().argmax(dim=1) == truth).sum())
    return {"loss": loss_sum / len(order), "accuracy": right / len(order)}


def _watch(net: nn.Module, watch: Examples, preprocessing: Preprocessing) -> dict[str, float]:
    logits = torch.from_numpy(ask(net, watch.pixels, preprocessing))
    truth = torch.from_numpy(watch.truth)
    return {
        "validation_loss": float(cross_entropy(logits, truth)),
        "validation_accuracy": float((logits.argmax(dim=1) == truth).double().mean()),
    }


def _class_weight(truth: np.ndarray, params: Any) -> torch.Tensor | None:
    if params.class_weight != "balanced":
        return None
    counts = np.bincount(truth)
    return torch.from_numpy(len(truth) / (len(counts) * np.maximum(counts, 1))).float()


def _pixels(pixels: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()
    return batch.flip(1) if preprocessing.colour == "BGR" else batch


def _scaled(batch: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    mean = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, -1, 1, 1)
    return (batch - mean) / std


def _text(row: dict[str, float]) -> str:
    words = [f"epoch {row['epoch']}", f"loss {row['loss']:.3f}", f"accuracy {row['accuracy']:.3f}"]
    if "validation_loss" in row:
        words.append(f"validation {row['validation_accuracy']:.3f}")
    return ", ".join(words)
