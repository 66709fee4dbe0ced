"""Learning from the teacher's softened scores and from the labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from ..._shared.torch_model.model_file import TorchModel
from ..._shared.vision_training.augment import augment
from ..._shared.vision_training.course import History, train
from ..._shared.vision_training.pixels import batch_of, scaled
from .compression import Layer, follow
from .figures import ask
from .inputs import Part

_RATES = {"scratch": 0.003, "trained": 0.0005}


def learn_from(
    net: nn.Module,
    layers: list[Layer],
    learn: Part,
    watched: Part | None,
    teacher: TorchModel,
    job: Any,
) -> History:
    """Train the student in place.

    Args:
        net: the student; ends in eval mode.
        layers: those that are compressed while it learns.
        learn: what is learnt.
        watched: what early stopping looks at.
        teacher: who is asked.
        job: the stage's job.
    """
    params, preprocessing = job.params, teacher.description.preprocessing
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    still = not any(params.augment.values())
    known = torch.from_numpy(ask(teacher.net, learn, teacher)).float() if still else None
    steps = -(-len(learn.truth) // params.batch_size) * params.epochs
    taken = 0

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        batch = batch_of(learn.pixels[chosen.numpy()], preprocessing)
        if not still:
            batch = augment(batch, params.augment, generator, fill)
        inputs = scaled(batch, preprocessing)
        if known is not None:
            theirs = known[chosen]
        else:
            with torch.no_grad():
                theirs = teacher.net(inputs)
        return _loss(net(inputs), theirs, torch.from_numpy(learn.truth[chosen.numpy()]), params)

    def watch() -> float:
        ours, theirs = ask(net, watched, teacher), ask(teacher.net, watched, teacher)
        pair = (torch.from_numpy(ours), torch.from_numpy(theirs))
        return float(_loss(*pair, torch.from_numpy(watched.truth), params))

    def after_step() -> None:
        nonlocal taken
        taken += 1
        follow(layers, params, taken / steps)

    trained = bool(layers) or "start" in job.inputs
    return train(
        net,
        len(learn.truth),
        loss_of,
        params,
        job.progress,
        rate=_RATES["trained" if trained else "scratch"],
        watch=watch if watched is not None and not layers else None,
        after_step=after_step if layers else None,
    )


def _loss(
    ours: torch.Tensor, theirs: torch.Tensor, truth: torch.Tensor, params: Any
) -> torch.Tensor:
    """Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015)."""
    t = params.temperature
    soft = kl_div(log_softmax(ours / t, 1), softmax(theirs / t, 1), reduction="batchmean") * t * t
    return params.teacher_weight * soft + (1 - params.teacher_weight) * cross_entropy(ours, truth)
