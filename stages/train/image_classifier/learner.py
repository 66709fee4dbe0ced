"""One way to learn from some pictures and to be asked about others, for both kinds of network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from ..._shared.torch_model.architectures import build, make_head
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_setup.configure import seed_everything
from ..._shared.vision_training import parts
from ..._shared.vision_training.head import Head, best_temperature, fit_head, unit_length
from ..._shared.vision_training.pictures import Pictures
from . import network

Tell = Callable[[int, int, str], None]


@dataclass
class Learnt:
    """The outcome of one training."""

    net: nn.Module
    head: Head | None = None  # where only a head was fitted, asking needs no pictures
    epochs: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


class Learner:
    """Knows the data and the parameters; learns any part of the data."""

    def __init__(
        self,
        params: Any,
        classes: int,
        preprocessing: Preprocessing,
        backbone: nn.Module | None,
        arguments: dict[str, Any],
        tell: Tell,
    ) -> None:
        self.params, self.classes, self.preprocessing = params, classes, preprocessing
        self.arguments = arguments
        self.frozen = backbone is not None and not params.fine_tune_blocks
        self._backbone, self._tell = backbone, tell

    def learn(
        self,
        data: Pictures,
        chosen: np.ndarray,
        watch: Pictures | None = None,
        epochs: int | None = None,
    ) -> Learnt:
        """Train on some of the pictures.

        Args:
            data: all pictures.
            chosen: indices of those to learn.
            watch: what early stopping looks at; None: a part of the chosen ones.
            epochs: so many, without early stopping.
        """
        seed_everything(self.params.seed)
        head = self._head(data, chosen) if self._backbone is not None else None
        net = self._fresh(head)
        if head is not None and not self.params.fine_tune_blocks:
            facts = {"strength": head.strength, "temperature": head.temperature}
            return Learnt(net, head, facts=facts, curve=head.table)
        return self._train(net, head, data, chosen, watch, epochs)

    def ask(self, learnt: Learnt, data: Pictures, chosen: np.ndarray) -> np.ndarray:
        """Probabilities of some of the pictures, shape [n, K]."""
        if learnt.head is not None:
            features = data.features["center"][chosen]
            if self.params.head == "unit-linear":
                features = unit_length(features)
            return softmax(learnt.head.logits(features), axis=1)
        assert data.pixels is not None
        return softmax(network.ask(learnt.net, data.pixels[chosen], self.preprocessing), axis=1)

    def _head(self, data: Pictures, chosen: np.ndarray) -> Head:
        views = {view: features[chosen] for view, features in data.features.items()}
        if self.params.head == "unit-linear":
            views = {view: unit_length(features) for view, features in views.items()}
        content = [data.content[i] for i in chosen]
        return fit_head(views, data.truth[chosen], content, self.classes, self.params)

    def _fresh(self, head: Head | None) -> nn.Module:
        if self._backbone is None or head is None:
            return build("small-cnn", self.arguments, self.classes)
        net = copy.deepcopy(self._backbone)
        net.head = make_head(self.params.head, net.width, self.classes)
        layer = net.head.linear if self.params.head == "unit-linear" else net.head
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(head.weight))
            layer.bias.copy_(torch.from_numpy(head.bias))
        return net

    def _train(
        self,
        net: nn.Module,
        head: Head | None,
        data: Pictures,
        chosen: np.ndarray,
        watch: Pictures | None,
        epochs: int | None,
    ) -> Learnt:
        assert data.pixels is not None
        watched = None
        if watch is not None and watch.pixels is not None:
            watched = network.Examples(watch.pixels, watch.truth)
        elif self.params.patience and epochs is None:
            content = [data.content[i] for i in chosen]
            share = self.params.validation_share
            stay, out = parts.holdout(data.truth[chosen], content, share, self.params.seed + 1)
            watched = network.Examples(data.pixels[chosen[out]], data.truth[chosen[out]])
            chosen = chosen[stay]
        history = network.train(
            net,
            network.Examples(data.pixels[chosen], data.truth[chosen]),
            watched,
            self.preprocessing,
            self.params,
            epochs or self.params.epochs,
            self._tell,
        )
        facts: dict[str, Any] = {"strength": head.strength} if head else {}
        if watched is not None and self.params.calibrate:
            logits = network.ask(net, watched.pixels, self.preprocessing)
            facts["temperature"] = cool(net, best_temperature(logits, watched.truth))
        return Learnt(net, None, history.best_epoch, facts, history.rows)


def cool(net: nn.Module, temperature: float) -> float:
    """Divide the logits by a temperature, inside the last layer."""
    with torch.no_grad():
        for parameter in net.head.parameters():
            parameter.div_(temperature)
    return temperature
