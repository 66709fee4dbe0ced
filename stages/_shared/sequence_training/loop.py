"""Training by gradient steps, of a classifier or of a network that gives one value."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..gradient_steps.optimizer import make_optimizer
from ..gradient_steps.schedule import factor
from ..problem.problem import Problem
from .rows import Rows

Tell = Callable[[int, int, str], None]
Change = Callable[[tuple[torch.Tensor, ...], torch.Generator], tuple[torch.Tensor, ...]]

_ASKED_AT_ONCE = 256
_STEEPEST = 1.0  # norm of a gradient; recurrent nets may make a far longer one now and then
_VALUE_LOSSES = {
    "squared": functional.mse_loss,
    "absolute": functional.l1_loss,
    "huber": functional.smooth_l1_loss,
}


@dataclass
class History:
    """How a training went."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


@dataclass(frozen=True)
class Aim:
    """What is learnt: ``classes`` labels, or a value where there are none."""

    classes: int
    weight: torch.Tensor | None = None  # of classes
    smoothing: float = 0.0
    loss: str = "squared"  # of values
    scale: float = 1.0  # of values: their deviation

    def losses(self, out: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch."""
        if self.classes:
            return functional.cross_entropy(
                out, truth, weight=self.weight, label_smoothing=self.smoothing
            )
        return _VALUE_LOSSES[self.loss](out[:, 0] / self.scale, truth / self.scale)


def train(
    net: nn.Module,
    learn: Rows,
    watch: Rows | None,
    aim: Aim,
    params: Any,
    epochs: int,
    tell: Tell,
    change: Change | None = None,
) -> History:
    """Train in place.

    Args:
        net: ends in eval mode.
        learn: what is learnt.
        watch: what decides when to stop; its best epoch's weights are kept.
        aim: what is learnt.
        params: seed, batch_size, optimizer, learning_rate, weight_decay, schedule, warmup_epochs,
            patience.
        epochs: at most so many.
        tell: takes (done, total, text) after each epoch.
        change: random changes of a batch.

    Raises:
        Problem: the loss is no longer a number.
    """
    optimizer = make_optimizer(net.parameters(), params)
    steps = math.ceil(len(learn) / params.batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(params, steps, epochs))
    generator = torch.Generator().manual_seed(params.seed)
    history, best, kept = History(best_epoch=epochs), math.inf, None
    for epoch in range(1, epochs + 1):
        net.train()
        loss = _epoch(net, learn, aim, params, optimizer, scheduler, generator, change)
        net.eval()
        row = {"epoch": epoch, "loss": loss}
        if watch is not None:
            row.update(_watched(net, watch, aim))
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


def ask(net: nn.Module, rows: Rows) -> np.ndarray:
    """What the network gives, float64 [N, K] (logits) or [N, 1] (values)."""
    net.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), _ASKED_AT_ONCE):
            here = slice(start, start + _ASKED_AT_ONCE)
            found.append(net(*(torch.from_numpy(array[here]) for array in rows.inputs)))
    return torch.cat(found).double().numpy()


def _epoch(
    net: nn.Module,
    learn: Rows,
    aim: Aim,
    params: Any,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
    generator: torch.Generator,
    change: Change | None,
) -> float:
    order = torch.randperm(len(learn), generator=generator).numpy()
    total = 0.0
    for start in range(0, len(order), params.batch_size):
        chosen = order[start : start + params.batch_size]
        if len(chosen) == 1 and len(order) > 1:
            continue  # batch normalisation cannot learn from one example
        batch = tuple(torch.from_numpy(array[chosen]) for array in learn.inputs)
        batch = change(batch, generator) if change else batch
        loss = aim.losses(net(*batch), torch.from_numpy(learn.truth[chosen]))
        if not torch.isfinite(loss):
            raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), _STEEPEST)
        optimizer.step()
        scheduler.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(order)


def _watched(net: nn.Module, watch: Rows, aim: Aim) -> dict[str, float]:
    out, truth = torch.from_numpy(ask(net, watch)), torch.from_numpy(watch.truth)
    if not aim.classes:
        return {"validation_loss": float(aim.losses(out, truth.double()))}
    right = (out.argmax(dim=1) == truth).double().mean()
    loss = float(functional.cross_entropy(out, truth))
    return {"validation_loss": loss, "validation_accuracy": float(right)}


def _text(row: dict[str, float]) -> str:
    names = {"loss": "loss", "validation_loss": "validation", "validation_accuracy": "accuracy"}
    told = [f"{names[key]} {value:.3f}" for key, value in row.items() if key in names]
    return ", ".join([f"epoch {row['epoch']}", *told])
