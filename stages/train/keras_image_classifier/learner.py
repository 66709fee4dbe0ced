"""One way to learn from some pictures and to be asked about others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from ..._shared.keras_model.setup import seed_everything
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.vision_training import parts
from ..._shared.vision_training.head import Head, best_temperature, fit_head
from ..._shared.vision_training.pictures import Pictures
from .network import backbone_of, last_layers, with_head
from .training import Examples, ask, train

Tell = Callable[[int, int, str], None]


@dataclass
class Learnt:
    """The outcome of one training."""

    logits: Any  # the network up to its logits
    model: Any  # the network that is saved
    head: Head | None = None  # where only a head was fitted, asking needs no pictures
    epochs: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


class Learner:
    """Knows the data and the parameters; learns any part of the data."""

    def __init__(
        self,
        tf: Any,
        params: Any,
        classes: int,
        preprocessing: Preprocessing,
        weights: Path | None,
        tell: Tell,
    ) -> None:
        self.tf, self.params, self.classes, self.preprocessing = tf, params, classes, preprocessing
        self.weights = weights
        self.frozen = weights is not None and not params.fine_tune_layers
        self._tell = tell

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
        params = self.params
        seed_everything(self.tf, params.seed)
        backbone = backbone_of(self.tf, params, self.preprocessing, self.weights)
        # Names are numbered anew with each network; so are the seeds that layers draw.
        seed_everything(self.tf, params.seed)
        logits, model = with_head(self.tf, backbone, self.classes, params.dropout)
        head = self._head(data, chosen) if self.weights is not None else None
        if head is not None:
            logits.get_layer("logits").set_weights([head.weight.T, head.bias])
        if head is not None and self.frozen:
            facts = {"strength": head.strength, "temperature": head.temperature}
            return Learnt(logits, model, head, facts=facts, curve=head.table)
        return self._train(backbone, logits, model, head, data, chosen, watch, epochs)

    def ask(self, learnt: Learnt, data: Pictures, chosen: np.ndarray) -> np.ndarray:
        """Probabilities of some of the pictures, shape [n, K]."""
        if learnt.head is not None:
            return softmax(learnt.head.logits(data.features["center"][chosen]), axis=1)
        assert data.pixels is not None
        return softmax(ask(learnt.logits, data.pixels[chosen], self.preprocessing), axis=1)

    def _head(self, data: Pictures, chosen: np.ndarray) -> Head:
        views = {view: features[chosen] for view, features in data.features.items()}
        content = [data.content[i] for i in chosen]
        return fit_head(views, data.truth[chosen], content, self.classes, self.params)

    def _train(
        self,
        backbone: Any,
        logits: Any,
        model: Any,
        head: Head | None,
        data: Pictures,
        chosen: np.ndarray,
        watch: Pictures | None,
        epochs: int | None,
    ) -> Learnt:
        assert data.pixels is not None
        params, watched = self.params, None
        if watch is not None and watch.pixels is not None:
            watched = Examples(watch.pixels, watch.truth)
        elif params.patience and epochs is None:
            content = [data.content[i] for i in chosen]
            share = params.validation_share
            stay, out = parts.holdout(data.truth[chosen], content, share, params.seed + 1)
            watched = Examples(data.pixels[chosen[out]], data.truth[chosen[out]])
            chosen = chosen[stay]
        history = train(
            self.tf,
            logits,
            self._trained(backbone, logits, tuning=head is not None),
            Examples(data.pixels[chosen], data.truth[chosen]),
            watched,
            self.preprocessing,
            params,
            epochs or params.epochs,
            head is not None,
            self._tell,
        )
        facts: dict[str, Any] = {"strength": head.strength} if head else {}
        if watched is not None and params.calibrate:
            said = ask(logits, watched.pixels, self.preprocessing)
            facts["temperature"] = _cool(logits, best_temperature(said, watched.truth))
        return Learnt(logits, model, None, history.best_epoch, facts, history.rows)

    def _trained(self, backbone: Any, logits: Any, tuning: bool) -> list[Any]:
        if not tuning:
            return list(logits.trainable_variables)
        layers = [*last_layers(backbone, self.params.fine_tune_layers), logits.get_layer("logits")]
        return [variable for layer in layers for variable in layer.trainable_variables]


def _cool(logits: Any, temperature: float) -> float:
    """Divide the logits by a temperature, inside the last layer."""
    layer = logits.get_layer("logits")
    layer.set_weights([weight / np.float32(temperature) for weight in layer.get_weights()])
    return temperature
