"""The two sides of a comparison behind one face: from a sample to arrays.

Each side prepares pictures as its own description says. A Core ML model that says nothing of it
(made elsewhere) is given what the other side's description says, where the sizes agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from mlbuild.coreml import CoreMLError, load
from mlbuild.coreml.images import scale

from ..problem.problem import Problem
from ..torch_model.model_file import Input, is_torch_model
from ..torch_model.model_file import load as load_torch
from ..torch_model.preprocessing import Preprocessing, from_json
from .predicted import PredictedSide, is_predictions

PREPROCESSING = "mlbuild.preprocessing"  # metadata that convert/coreml writes
MODEL = "mlbuild.model"
DETECTOR = "object-detector"
_SMALLEST = np.finfo(np.float32).tiny  # a probability of 0 has no logarithm


class Side(Protocol):
    """A model that can be asked."""

    labels: tuple[str, ...]  # of a classifier; empty otherwise

    @property
    def preprocessing(self) -> Preprocessing | None: ...

    def logits(self, picture: Image.Image) -> np.ndarray: ...

    def pictured(self, picture: Image.Image) -> dict[str, np.ndarray]: ...

    def outputs(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]: ...


class TorchSide:
    """A self-describing torch model."""

    def __init__(self, path: Path) -> None:
        self.model = load_torch(path)
        self.labels = self.model.labels if self.model.description.is_classifier else ()
        self.preprocessing: Preprocessing | None = self.model.description.preprocessing

    def logits(self, picture: Image.Image) -> np.ndarray:
        """Scores before the softmax, shape [K]; log-probabilities where the net gives those."""
        return self._run(self.model.preprocess(picture)[None])

    def pictured(self, picture: Image.Image) -> dict[str, np.ndarray]:
        """The outputs by name; the scores of a classifier."""
        if self.model.description.outputs:
            return self._named(self.model.preprocess(picture)[None])
        return {"logits": self.logits(picture)}

    def outputs(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The scores of an array that stands for a prepared picture, [1, C, H, W]."""
        if self.model.description.inputs:
            return self._named_arrays(arrays)
        if len(arrays) != 1:
            raise Problem(f"the torch model takes one array, a sample holds {len(arrays)}")
        (array,) = arrays.values()
        batch = torch.from_numpy(array.astype(np.float32))
        if self.model.description.outputs:
            return self._named(batch)
        return {"logits": self._run(batch)}

    def _named_arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of a model that names its inputs; what it keeps between calls starts at zero."""
        description = self.model.description
        wanted = [given.name for given in description.inputs]
        if set(arrays) != set(wanted):
            raise Problem(
                f"the torch model takes {', '.join(wanted)}, the sample holds "
                f"{', '.join(sorted(arrays)) or 'nothing'}"
            )
        given = [torch.from_numpy(_given(arrays[i.name], i)) for i in description.inputs]
        for state in description.states:
            getattr(self.model.net, state.name).zero_()
        with torch.no_grad():
            found = self.model.net(*given)
        if description.is_classifier:
            return {"logits": self._scores(found)}
        found = found if isinstance(found, tuple) else (found,)
        return {o.name: v.numpy() for o, v in zip(description.outputs, found, strict=True)}

    def _named(self, batch: torch.Tensor) -> dict[str, np.ndarray]:
        """Each output, whole numbers as int64."""
        description = self.model.description
        with torch.no_grad():
            found = self.model.net(batch)
        found = found if isinstance(found, tuple) else (found,)
        if description.task == DETECTOR:  # its boxes have no dimension for a batch in Core ML
            found = tuple(value[0] for value in found)
        return {o.name: v.numpy() for o, v in zip(description.outputs, found, strict=True)}

    def _run(self, batch: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self._scores(self.model.net(batch))

    def _scores(self, found: torch.Tensor) -> np.ndarray:
        out = found[0].double().numpy()
        if self.model.description.output == "probabilities":
            out = np.log(np.maximum(out, _SMALLEST))
        return out


class CoreMLSide:
    """A Core ML model in the reference runtime."""

    def __init__(
        self, path: Path, precision: str = "declared", scaling: str = "centerCrop"
    ) -> None:
        try:
            self.model = load(path, precision=precision)
        except CoreMLError as error:
            raise Problem(f"the model cannot be run: {error}") from error
        description = self.model.description
        self._inner = _inner_values(self.model)
        self.labels = () if self._inner else tuple(str(v) for v in description.class_labels)
        self.scaling = scaling
        self.preprocessing = _described(description)
        self._images = [f for f in description.inputs if f.image is not None]
        self._logits = _before_softmax(self.model) if self.labels else None

    def adopt(self, other: Preprocessing | None) -> None:
        """Prepare pictures as another model of the same size does, if nothing else is known."""
        if self.preprocessing is None and other is not None and self._images:
            layout = self._images[0].image
            if (layout.width, layout.height) == (other.width, other.height):
                self.preprocessing = other

    def logits(self, picture: Image.Image) -> np.ndarray:
        """Scores before the softmax, shape [K]: the softmax's own input, else log-probabilities."""
        return self._scores(self.prepared(picture))

    def pictured(self, picture: Image.Image) -> dict[str, np.ndarray]:
        """What ``outputs`` gives, for a picture."""
        return self.outputs(self.prepared(picture))

    def outputs(self, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """All outputs that are arrays; a classifier's scores as ``logits``.

        A picture that is given is taken before it is rounded to bytes, and of a detector the
        boxes before suppression, whose number does not depend on what they hold.
        """
        if self.labels:
            return {"logits": self._scores(arrays)}
        try:
            state = self.model.make_state() if self.model.description.states else None
            ran = self.model.run(_plain(arrays), keep=list(self._inner.values()), state=state)
        except CoreMLError as error:
            raise Problem(str(error)) from error
        inner = {name: np.asarray(ran.values[value]) for name, value in self._inner.items()}
        if any("/" in value for value in self._inner.values()):
            return inner
        numbers = (np.ndarray, float)
        found = {k: np.asarray(v) for k, v in ran.outputs.items() if isinstance(v, numbers)}
        return {**found, **inner}

    def _scores(self, inputs: Mapping[str, Any]) -> np.ndarray:
        names = [name for name in (self._logits, self.model.scores_value) if name]
        try:
            ran = self.model.run(_plain(inputs), keep=names[:1])
        except CoreMLError as error:
            raise Problem(str(error)) from error
        scores = np.asarray(ran.values[names[0]], dtype=np.float64).reshape(-1)
        if self._logits is None:
            scores = np.log(np.maximum(scores, _SMALLEST))
        if len(scores) != len(self.labels):
            raise Problem(f"the model has {len(self.labels)} labels and {len(scores)} scores")
        return scores

    def prepared(self, picture: Image.Image) -> dict[str, Image.Image]:
        """A picture as the model takes it, by the name of its input."""
        inputs = self.model.description.inputs
        if not self._images or sum(not f.optional for f in inputs) != 1:
            taken = ", ".join(f"{f.name} ({f})" for f in inputs)
            raise Problem(
                f"the Core ML model does not take one picture and nothing else: {taken}",
                hint="give samples as .npz files with an array for each input",
            )
        name, layout = self._images[0].name, self._images[0].image
        if self.preprocessing is not None:
            return {name: self.preprocessing.fit(picture)}
        mode = "L" if layout.channels == 1 else "RGB"
        size = (layout.width, layout.height)
        return {name: scale(picture.convert(mode), size, self.scaling)}


def _plain(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Single numbers and texts out of their arrays, as Core ML's columns take them."""
    return {
        name: value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
        for name, value in arrays.items()
    }


def _given(value: Any, wanted: Input) -> np.ndarray:
    """An array as a torch model takes it; a text is the place of its category, and 0 no known."""
    array = np.asarray(value)
    if wanted.categories and array.dtype.kind == "U":
        places = {text: place + 1 for place, text in enumerate(wanted.categories)}
        array = np.array([places.get(str(text), 0) for text in array.reshape(-1)])
    return np.ascontiguousarray(array.astype(wanted.dtype).reshape(wanted.shape))


def open_side(path: Path, precision: str = "declared", scaling: str = "centerCrop") -> Side:
    """The model at a path, whatever it is."""
    if is_predictions(path):
        return PredictedSide(path)
    if is_torch_model(path):
        return TorchSide(path)
    return CoreMLSide(path, precision, scaling)


def match(reference: Side, candidate: Side) -> np.ndarray | None:
    """Indices that bring the candidate's scores into the order of the reference's labels.

    Returns:
        None where neither is a classifier.

    Raises:
        Problem: the labels are not the same.
    """
    for one, other in ((candidate, reference), (reference, candidate)):
        if isinstance(one, CoreMLSide):
            one.adopt(other.preprocessing)
    for one, other in ((candidate, reference), (reference, candidate)):
        if isinstance(one, PredictedSide):
            one.adopt_labels(other.labels)
    if not (reference.labels and candidate.labels):
        return None
    places = {label: place for place, label in enumerate(candidate.labels)}
    missing = [label for label in reference.labels if label not in places]
    extra = sorted(set(places) - set(reference.labels))
    if missing or extra:
        told = [f"{len(missing)} are missing, such as {missing[0]!r}"] if missing else []
        told += [f"{len(extra)} are unknown, such as {extra[0]!r}"] if extra else []
        raise Problem(f"the models have different labels: of the candidate's {' and '.join(told)}")
    return np.array([places[label] for label in reference.labels])


def _inner_values(model: Any) -> dict[str, str]:
    """Values inside of the model that stand for outputs: by name of the output."""
    known = set(model.body.values())
    text = model.description.metadata.get("user_defined", {}).get(MODEL)
    described = json.loads(text) if text else {}
    if described.get("task") == DETECTOR:
        names = [output["name"] for output in described["outputs"]]
        return {name: f"0/{name}" for name in names if f"0/{name}" in known}
    return {f.name: f.name for f in model.description.outputs if f.image and f.name in known}


def _described(description: Any) -> Preprocessing | None:
    text = description.metadata.get("user_defined", {}).get(PREPROCESSING)
    if text is None:
        return None
    try:
        return from_json(json.loads(text))
    except ValueError as error:
        raise Problem(f"the model's metadata {PREPROCESSING} cannot be read: {error}") from error


def _before_softmax(model: Any) -> str | None:
    """The value that the last softmax turns into the scores; None where there is no softmax."""
    makers = {name: use for use in model.operators() for name, _ in use.outputs}
    name = model.scores_value
    while name in makers:
        use = makers[name]
        # A program calls it x; a network's layer has a list called input.
        before = next(iter(use.inputs.get("x") or next(iter(use.inputs.values()), ())), None)
        if use.type in ("softmax", "softmaxND"):
            return None if before is None else str(before)
        if use.type not in ("cast", "squeeze", "reshape", "expand_dims", "identity"):
            return None
        name = before
    return None
