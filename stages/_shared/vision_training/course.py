"""Training by gradient steps, whatever the network and its loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..gradient_steps.optimizer import make_optimizer
from ..gradient_steps.schedule import factor
from ..problem.problem import Problem

Tell = Callable[[int, int, str], None]


@dataclass
class History:
    """How a training went."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


def train(
    net: nn.Module,
    count: int,
    loss_of: Callable[[torch.Tensor, torch.Generator], torch.Tensor],
    params: Any,
    tell: Tell,
    *,
    rate: float,
    watch: Callable[[], float] | None = None,
    parameters: Sequence[nn.Parameter] | None = None,
    after_step: Callable[[], None] | None = None,
) -> History:
    """Train in place; the network ends in eval mode.

    Args:
        net: what is trained.
        count: examples.
        loss_of: the mean loss of some examples, given by their places.
        params: epochs, batch_size, optimizer, momentum, weight_decay, schedule, warmup_epochs,
            learning_rate, patience and seed of the kind.
        tell: takes (done, total, text) after each epoch.
        rate: the learning rate where the parameters give none.
        watch: a figure of examples that are not learnt, better when lower; the weights of its
            best epoch are kept.
        parameters: those that are trained, if not all.
        after_step: what follows each step.

    Raises:
        Problem: the loss is no longer a number.
    """
    trained = list(parameters if parameters is not None else net.parameters())
    optimizer = make_optimizer(trained, params, rate)
    steps = math.ceil(count / params.batch_size)
    at = factor(params, steps, params.epochs)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, at)
    generator = torch.Generator().manual_seed(params.seed)
    history, best, kept = History(best_epoch=params.epochs), math.inf, None
    for epoch in range(1, params.epochs + 1):
        net.train()
        total = 0.0
        order = torch.randperm(count, generator=generator)
        for chosen in order.split(params.batch_size):
            loss = loss_of(chosen, generator)
            _step(loss, optimizer, trained)
            scheduler.step()
            if after_step is not None:
                after_step()
            total += float(loss.detach()) * len(chosen)
        net.eval()
        row = {"epoch": epoch, "loss": total / count}
        if watch is not None:
            row["validation_loss"] = watch()
            if row["validation_loss"] < best:
                best, kept = row["validation_loss"], copy.deepcopy(net.state_dict())
                history.best_epoch = epoch
        history.rows.append(row)
        tell(epoch, params.epochs, _text(row))
        if params.patience and watch is not None and epoch - history.best_epoch >= params.patience:
            break
    if kept is not None:
        net.load_state_dict(kept)
    net.eval()
    return history


def held_out(count: int, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Places to learn and places to ask, at least one of each.

    Raises:
        Problem: there are fewer than two.
    """
    if count < 2:
        raise Problem(f"{count} example cannot be split into some to learn and some to ask")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    asked = min(max(1, round(count * share)), count - 1)
    return order[asked:].sort().values, order[:asked].sort().values


def _step(
    loss: torch.Tensor, optimizer: torch.optim.Optimizer, trained: Sequence[nn.Parameter]
) -> None:
    if not torch.isfinite(loss):
        raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(trained, 10.0)
    optimizer.step()


def _text(row: dict[str, float]) -> str:
    words = [f"epoch {int(row['epoch'])}", f"loss {row['loss']:.4f}"]
    if "validation_loss" in row:
        words.append(f"validation {row['validation_loss']:.4f}")
    return ", ".join(words)
