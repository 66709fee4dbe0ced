"""What the model is for, in the words of model hubs."""

from __future__ import annotations

from mlbuild.release.documents.figures import labels, main_model, verb
from mlbuild.release.facts import ReleaseFacts

_OF_KINDS = {
    "image-classifier": "image-classification",
    "imagenet-classifier": "image-classification",
    "keras-image-classifier": "image-classification",
    "drawing-classifier": "image-classification",
    "image-similarity": "image-feature-extraction",
    "object-detector": "object-detection",
    "segmentation": "image-segmentation",
    "style-transfer": "image-to-image",
    "sound-classifier": "audio-classification",
    "text-classifier": "text-classification",
    "text-generator": "text-generation",
    "sentence-encoder": "sentence-similarity",
}
_OF_TABLES = ("tabular", "sklearn", "xgboost", "lightgbm", "libsvm")


def task(facts: ReleaseFacts) -> str | None:
    """The hub's name of the task, from the kinds of the stages, else from the model's interface."""
    named = [_OF_KINDS.get((s.kind or "").rpartition("/")[2]) for s in facts.stages]
    known = [name for name in named if name]
    if known:
        return known[-1]
    if any((s.kind or "").partition("/")[2] in _OF_TABLES for s in facts.stages):
        shares = [s for s in facts.stages if verb(s) == "train" and "accuracy" in s.metrics]
        return "tabular-classification" if shares else "tabular-regression"
    main = main_model(facts)
    kinds = {f.get("kind") for f in (main.model or {}).get("inputs") or ()} if main else set()
    if "image" in kinds and labels(main):
        return "image-classification"
    return None
