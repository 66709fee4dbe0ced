"""What a detector finds, after the suppression that its Core ML model will do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._shared.detection.average_precision import MOST, Found, Scores, score
from ..._shared.detection.suppression import suppress
from ..._shared.torch_model.detector_net import Detector
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.vision_training.pixels import batch_of, scaled
from .examples import Examples

_AT_ONCE = 32
_FLOOR = 0.01  # the curve of precision wants the unsure ones too
_DRAWS = 200


def detect(
    net: Detector, pixels: np.ndarray, preprocessing: Preprocessing, params: Any
) -> list[Found]:
    """All boxes of at least 0.01, suppressed: uint8 [N, H, W, C] -> N."""
    found = []
    net.eval()
    with torch.no_grad():
        for start in range(0, len(pixels), _AT_ONCE):
            batch = batch_of(pixels[start : start + _AT_ONCE], preprocessing)
            confidences, boxes = net(scaled(batch, preprocessing))
            for c, b in zip(confidences.double().numpy(), boxes.double().numpy(), strict=True):
                kept = suppress(
                    c, b, params.iou_threshold, _FLOOR, per_class=params.per_class, most=MOST
                )
                found.append(Found(c[kept].argmax(axis=1), c[kept].max(axis=1), b[kept]))
    return found


def judge(
    net: Detector,
    asked: Examples,
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    params: Any,
) -> Scores:
    """Figures on pictures that were not learnt."""
    return score(detect(net, asked.pixels, preprocessing, params), asked.truth(), labels)


def record(job: Any, scores: Scores) -> dict[str, Any]:
    """Write the figures as metrics and plots; gives them back for the report."""
    params = job.params
    low, high = scores.interval(_DRAWS, params.seed)
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
    shares = scores.shares(params.confidence_threshold)
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
