"""Answers of Turi Create's models, by the names that their Core ML models give outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Dict, List  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..problem.problem import Problem
from .toolkits import TEXT, WITHOUT_SCORES, classifies

Answers = Dict[str, Any]  # noqa: UP006 - name -> what is said of each sample


def labels_of(model: Any) -> List[str]:  # noqa: UP006
    """The labels of a classifier, in the order of its scores."""
    inner = model.__proxy__["classifier"] if type(model).__name__ == "TextClassifier" else model
    return [str(label) for label in inner.classes]


def of_classifier(target: str, scores: bool = True) -> List[Dict[str, str]]:  # noqa: UP006
    """A classifier's outputs, for a description."""
    found = [{"name": target, "gives": "label"}]
    return [*found, {"name": f"{target}Probability", "gives": "probabilities"}] if scores else found


def table(model: Any, description: Mapping[str, Any], frame: Any) -> Answers:
    """Of rows of columns.

    Raises:
        Problem: the toolkit has no answers for rows that it did not learn.
    """
    toolkit, target = description["toolkit"], description.get("target")
    if toolkit in ("dbscan", "nearest-neighbors"):
        raise Problem(f"{toolkit} has no answer for a row that it did not learn")
    if toolkit == "kmeans":
        return {"cluster": np.array(model.predict(frame), dtype=np.int64)}
    if toolkit == "nearest-neighbor-classifier":
        most = (description.get("options") or {}).get("max_neighbors", 10)
        return {target: _texts(model.predict(frame, max_neighbors=most))}
    if not classifies(toolkit):
        return {target: np.array(model.predict(frame), dtype=np.float64)}
    return _classes(model, frame, target, toolkit not in WITHOUT_SCORES)


def texts(model: Any, description: Mapping[str, Any], frame: Any) -> Answers:
    """Of rows with a text each."""
    if description["toolkit"] == TEXT:
        return _classes(model, frame, description["target"], True)
    raise Problem(f"{description['toolkit']} is not asked about tables here")


def windows(
    model: Any, description: Mapping[str, Any], pieces: Sequence[Any], turicreate: Any
) -> Answers:
    """Of windows of recordings, each as if nothing had been before it.

    Args:
        model: an activity classifier.
        description: names the columns.
        pieces: arrays by column, ``prediction_window`` values each.
        turicreate: the module.
    """
    target, session = description["target"], description["session"]
    frame = turicreate.SFrame()
    length = int(description["window"])
    numbers = np.repeat(np.arange(len(pieces)), length)
    frame[session] = turicreate.SArray(numbers.tolist())
    for column in description["columns"]:
        values = [np.asarray(piece[column["name"]], np.float64).reshape(-1) for piece in pieces]
        wrong = [len(v) for v in values if len(v) != length]
        if wrong:
            raise Problem(
                f"column '{column['name']}' has {wrong[0]} values, the model takes {length}"
            )
        frame[column["name"]] = turicreate.SArray(np.concatenate(values).tolist())
    said = {
        kind: model.predict(frame, output_type=kind, output_frequency="per_window").sort(session)
        for kind in ("class", "probability_vector")
    }
    scores = np.array([list(v) for v in said["probability_vector"]["probability_vector"]])
    return {target: _texts(said["class"]["class"]), f"{target}Probability": scores}


def drawings(
    model: Any, description: Mapping[str, Any], pictures: Sequence[Any], turicreate: Any
) -> Answers:
    """Of drawings, each a grey picture of the model's size."""
    feature = description["inputs"][0]["name"]
    frame = turicreate.SFrame({feature: [image(p, turicreate) for p in pictures]})
    return _classes(model, frame, description["target"], True)


def image(picture: Any, turicreate: Any) -> Any:
    """A picture of PIL as one of Turi Create's."""
    pixels = np.asarray(picture, dtype=np.uint8)
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.tobytes()
    return turicreate.Image(
        _image_data=data, _width=width, _height=height, _channels=channels,
        _format_enum=2, _image_data_size=len(data),
    )  # fmt: skip


def _classes(model: Any, frame: Any, target: str, scores: bool) -> Answers:
    found: Answers = {target: _texts(model.predict(frame, output_type="class"))}
    if scores:
        vectors = model.predict(frame, output_type="probability_vector")
        found[f"{target}Probability"] = np.array([list(v) for v in vectors], dtype=np.float64)
    return found


def _texts(values: Any) -> np.ndarray:
    return np.array([str(value) for value in values])


def interactions(cell: Any) -> Dict[str, float]:  # noqa: UP006
    """Items with ratings, as a table of samples holds them: a map as JSON.

    Raises:
        Problem: it is none.
    """
    try:
        found = json.loads(cell) if isinstance(cell, str) else cell
        return {str(item): float(rating) for item, rating in found.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Problem(f"'{cell}' is no map of items to ratings") from error
