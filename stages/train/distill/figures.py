"""How far a student is from its teacher and from the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import kl_div, log_softmax, softmax

from ..._shared.metrics_classification.scores import plot_confusion, score
from ..._shared.torch_model.model_file import TorchModel
from ..._shared.vision_training.pixels import batch_of, scaled
from .inputs import Part

_AT_ONCE = 64


def ask(net: nn.Module, part: Part, teacher: TorchModel) -> np.ndarray:
    """Logits, float64 [N, K]."""
    net.eval()
    preprocessing = teacher.description.preprocessing
    with torch.no_grad():
        found = [
            net(scaled(batch_of(part.pixels[n : n + _AT_ONCE], preprocessing), preprocessing))
            for n in range(0, len(part.pixels), _AT_ONCE)
        ]
    return torch.cat(found).double().numpy()


def share(hits: np.ndarray) -> tuple[float, int]:
    """A share and its n."""
    return float(hits.mean()), len(hits)


def compare(
    ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, when: str
) -> dict[str, tuple[float, int]]:
    """Accuracy and agreement of logits, under names that end in ``when``."""
    said = ours.argmax(axis=1)
    return {
        f"accuracy{when}": share(said == truth),
        f"agreement{when}": share(said == theirs.argmax(axis=1)),
    }


def record(
    job: Any,
    figures: dict[str, Any],
    logits: np.ndarray,
    truly: np.ndarray,
    asked: Part,
    teacher: TorchModel,
) -> None:
    """Write figures as metrics; adds those that follow from the scores."""
    ours, theirs = torch.from_numpy(logits), torch.from_numpy(truly)
    probabilities = softmax(ours, 1).numpy()
    scores = score(probabilities, asked.truth, teacher.labels)
    divergence = kl_div(log_softmax(ours, 1), softmax(theirs, 1), reduction="batchmean")
    figures["kl"], figures["log_loss"] = max(0.0, float(divergence)), scores.log_loss
    if "accuracy_before" in figures:
        figures["regained"] = figures["accuracy"][0] - figures["accuracy_before"][0]
    for name, value in figures.items():
        if isinstance(value, tuple):
            job.metric(name, value[0], n=value[1])
        else:
            job.metric(name, value)
    plot_confusion(job, asked.truth, probabilities.argmax(axis=1), scores)
    before = f", before {figures['accuracy_before'][0]:.3f}" if "regained" in figures else ""
    job.log(
        f"accuracy {figures['accuracy'][0]:.3f}{before}, teacher "
        f"{figures['teacher_accuracy'][0]:.3f}, agreement {figures['agreement'][0]:.3f}"
    )
