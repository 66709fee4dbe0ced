"""What a detector finds, after the suppression that its Core ML model will do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..torch_model.detector_net import Detector
from ..torch_model.preprocessing import Preprocessing
from ..vision_training.pixels import batch_of, scaled
from .average_precision import MOST, Found, Scores
from .suppression import suppress

_AT_ONCE = 32
FLOOR = 0.01  # the curve of precision wants the unsure ones too
_DRAWS = 200


def detect(
    net: Detector,
    pixels: np.ndarray,
    preprocessing: Preprocessing,
    iou: float,
    per_class: bool,
) -> list[Found]:
    """All boxes of at least 0.01, suppressed: uint8 [N, H, W, C] -> N."""
    found = []
    net.eval()
    with torch.no_grad():
        for start in range(0, len(pixels), _AT_ONCE):
            batch = batch_of(pixels[start : start + _AT_ONCE], preprocessing)
            confidences, boxes = net(scaled(batch, preprocessing))
            for c, b in zip(confidences.double().numpy(), boxes.double().numpy(), strict=True):
                kept = suppress(c, b, iou, FLOOR, per_class=per_class, most=MOST)
                found.append(Found(c[kept].argmax(axis=1), c[kept].max(axis=1), b[kept]))
    return found


def record(job: Any, scores: Scores, confidence: float, seed: int) -> dict[str, Any]:
    """Write the figures as metrics and plots; gives them back for the report.

    Args:
        job: the stage's job.
        scores: of pictures that were not learnt.
        confidence: from which a box is told, for recall and precision.
        seed: of the draws for the interval.
    """
    low, high = scores.interval(_DRAWS, seed)
    figures = {
        "map": scores.map,
        "map50": scores.at(0.5),
        "map75": scores.at(0.75),
        "map50_low": low,
        "map50_high": high,
    }
    for name, value in figures.items():
        job.metric(name, value)
    for label, values in scores.by_class.items():
        job.metric(f"ap50.{label}", values[0])
    shares = scores.shares(confidence)
    for name, (hits, n) in shares.items():
        if n:
            job.metric(name, hits / n, n=n)
    rows = [row for label in scores.by_class for row in scores.curve(label)]
    if rows:
        job.plot("precision_recall", rows, x="recall", y="precision", title="Precision by recall")
    job.log(
        f"mAP at 0.5 {figures['map50']:.3f} ({low:.3f} to {high:.3f}), "
        f"at 0.5 to 0.95 {figures['map']:.3f}, of {scores.boxes} objects"
    )
    told = {name: {"hits": hits, "n": n} for name, (hits, n) in shares.items()}
    return {**figures, **told, "by_class": scores.by_class}
