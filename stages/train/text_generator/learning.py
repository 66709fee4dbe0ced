"""Gradient steps on random windows of a text, and how well the next token is foreseen."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..._shared.problem.problem import Problem

_STEEPEST = 1.0  # norm of a gradient
_TOLD = 20  # times that progress is told and the held-out text is asked


@dataclass
class History:
    """How a training went."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0


@dataclass(frozen=True)
class Asked:
    """Of a text that was not learnt."""

    loss: float  # nats a token
    right: int
    tokens: int


def train(net: Any, learn: np.ndarray, watch: np.ndarray, params: Any, tell: Any) -> History:
    """Train in place; the weights of the step that foresaw ``watch`` best are kept.

    Args:
        net: ends in eval mode.
        learn: tokens, int64.
        watch: tokens of a part that is neither learnt nor judged.
        params: of the kind.
        tell: takes (done, total, text).

    Raises:
        Problem: the loss is no longer a number.
    """
    optimizer = _optimizer(net, params)
    generator = torch.Generator().manual_seed(params.seed)
    text, n = torch.from_numpy(learn), params.context
    history, best, kept, total = History(best_step=params.steps), math.inf, None, 0.0
    every = max(1, params.steps // _TOLD)
    net.train()
    for step in range(1, params.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * _factor(step - 1, params)
        starts = torch.randint(0, len(text) - n, (params.batch_size, 1), generator=generator)
        window = text[starts + torch.arange(n + 1)]
        out = net.learn(window[:, :-1])
        loss = cross_entropy(out.flatten(0, 1), window[:, 1:].flatten())
        if not torch.isfinite(loss):
            raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), _STEEPEST)
        optimizer.step()
        total += float(loss.detach())
        if step % every == 0 or step == params.steps:
            seen = ask(net, watch).loss
            done = step - (history.rows[-1]["step"] if history.rows else 0)
            history.rows.append({"step": step, "loss": total / done, "validation_loss": seen})
            if seen < best:
                best, kept = seen, copy.deepcopy(net.state_dict())
                history.best_step = step
            tell(step, params.steps, f"loss {total / done:.3f}, validation {seen:.3f}")
            total = 0.0
            net.train()
    if kept is not None:
        net.load_state_dict(kept)
    net.eval()
    return history


def ask(net: Any, tokens: np.ndarray) -> Asked:
    """How well each token but the first is foreseen, in windows that overlap by half.

    Of a window but the first only the second half counts: each token is foreseen from at least half
    a context.
    """
    net.eval()
    n = net.context
    text = torch.from_numpy(tokens)
    starts = list(range(0, max(1, len(text) - n - 1), n // 2))
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for start in starts:
            window = text[start : start + n + 1]
            counted = 0 if start == 0 else n // 2
            out = net.learn(window[None, :-1])[0, counted:]
            truth = window[1:][counted:]
            loss += float(cross_entropy(out, truth, reduction="sum"))
            right += int((out.argmax(dim=-1) == truth).sum())
            count += len(truth)
    return Asked(loss / count, right, count)


def _optimizer(net: nn.Module, params: Any) -> torch.optim.Optimizer:
    """AdamW; biases and normalisations are not pulled towards 0."""
    pulled = [p for p in net.parameters() if p.dim() > 1]
    free = [p for p in net.parameters() if p.dim() <= 1]
    groups = [
        {"params": pulled, "weight_decay": params.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=params.learning_rate, betas=(0.9, 0.95))


def _factor(step: int, params: Any) -> float:
    warm = min(params.warmup_steps, params.steps // 2)
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(1, params.steps - warm)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))
