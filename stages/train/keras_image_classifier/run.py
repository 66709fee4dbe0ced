"""Train an image classifier in Keras: read, judge, learn once more on everything, save."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..._shared.keras_model.files import save_model
from ..._shared.keras_model.setup import configure
from ..._shared.metrics_classification.scores import score
from ..._shared.problem.problem import told
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.vision_training.judge import judge, last, way
from ..._shared.vision_training.outcome import record_all, report_of, summary_of
from ..._shared.vision_training.pictures import Features, check_classes, read
from .learner import Learner
from .network import backbone_of, preprocessing_of, weights_file


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    tf = configure(job, params.seed)
    weights = weights_file(job)
    way(params, "test" in job.inputs, weights is not None and not params.fine_tune_layers)
    how = preprocessing_of(params)
    backbone = backbone_of(tf, params, how, weights)
    features = _features(backbone) if weights is not None else None
    keep = weights is None or params.fine_tune_layers > 0
    data, labels = read(job, "images", how, None, features, keep)
    others = {
        role: read(job, role, how, labels, features, keep)[0]
        for role in ("validation", "test")
        if role in job.inputs
    }
    check_classes(data, labels, 1, "training")
    learner = Learner(tf, params, len(labels), how, weights, job.progress)
    verdict = judge(learner, data, others.get("test"), others.get("validation"), labels)
    learnt = last(learner, data, others.get("validation"), verdict)
    scores = score(verdict.probabilities, verdict.truth, labels)
    record_all(job, scores, verdict, learnt, data, others)
    summary = summary_of(params, scores, verdict, learnt, data)
    save_model(learnt.model, job.outputs["model"], description_of(labels, how))
    job.metric("size_mb", job.outputs["model"].stat().st_size / 1e6)
    report = {**summary, **report_of(scores, verdict, learnt, data, others)}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def description_of(labels: tuple[str, ...], how: Preprocessing) -> dict[str, Any]:
    """What the model says of itself."""
    given = {
        "name": "image",
        "kind": "image",
        "layout": "NHWC",
        "shape": [1, how.height, how.width, how.channels],
        "dtype": "float32",
        "preprocessing": how.to_json(),
    }
    return {
        "inputs": [given],
        "outputs": [{"name": "probabilities", "gives": "probabilities"}],
        "labels": list(labels),
        "task": "classifier",
    }


def _features(backbone: Any) -> Features:
    def compute(batch: np.ndarray) -> np.ndarray:
        return backbone(batch.transpose(0, 2, 3, 1), training=False).numpy()

    return compute
