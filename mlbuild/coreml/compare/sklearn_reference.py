"""A scikit-learn estimator as reference: its predictions, and of a pipeline what each step gives.

Source: scikit-learn API reference, sklearn.pipeline.Pipeline, BaseEstimator.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from .recording import Recorded, Recording, Sample, real


class SklearnReference:
    """Records what a fitted estimator computes of one sample.

    Args:
        estimator: Anything with ``predict`` or ``transform``. A sample's numbers and arrays, in
            the order of its features where it knows their names, are one row; a single string
            or dictionary is handed over as it is.
    """

    def __init__(self, estimator: Any) -> None:
        self._steps = list(getattr(estimator, "steps", None) or [("", estimator)])
        self._steps = [(n, s) for n, s in self._steps if s is not None and s != "passthrough"]
        self._names = [str(n) for n in getattr(estimator, "feature_names_in_", ())]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of a classifier, in the order of its scores."""
        classes = getattr(self._steps[-1][1], "classes_", None) if self._steps else None
        return tuple(str(c) for c in classes) if isinstance(classes, np.ndarray) else ()

    def record(self, sample: Sample) -> Recording:
        """One prediction, step by step."""
        value = self._row(sample)
        found: list[Recorded] = []
        _note(found, "input", "", value)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of features without names
            try:
                for number, (name, step) in enumerate(self._steps):
                    if number + 1 == len(self._steps):
                        return Recording(*_answers(found, name, step, value))
                    value = _plain(step.transform(value))
                    _note(found, type(step).__name__, name, value)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                text = str(error).split("\n")[0]
                raise InputError("the estimator takes no such sample", got=text) from error
        return Recording(tuple(found), tuple(("", p) for p in range(len(found))[-1:]))

    def weights(self) -> dict[str, torch.Tensor]:
        """None: what a classical model has learnt is kept in doubles, never rounded."""
        return {}

    def _row(self, sample: Sample) -> Any:
        values = list(sample.values())
        if len(values) == 1 and isinstance(values[0], str | dict):
            return [values[0]]
        if self._names and set(self._names) <= set(sample):
            values = [sample[name] for name in self._names]
        if any(isinstance(value, str) for value in values):
            return np.array([values], dtype=object)
        return np.concatenate([np.asarray(v, np.float64).reshape(-1) for v in values])[None]


def _answers(
    found: list[Recorded], name: str, step: Any, value: Any
) -> tuple[tuple[Recorded, ...], tuple[tuple[str, int], ...]]:
    """What the last step says, in the order in which Core ML describes it."""
    kind = type(step).__name__
    outputs = []
    classes = getattr(step, "classes_", None)
    if hasattr(step, "predict"):
        answer = _plain(step.predict(value))
        if isinstance(classes, np.ndarray):
            answer = np.array([int(np.flatnonzero(classes == answer[0])[0])])
        outputs.append(_note(found, f"{kind}.predict", name, answer))
        margins = step.decision_function(value) if hasattr(step, "decision_function") else None
        place = None if margins is None else _note(found, f"{kind}.margins", name, margins)
        if hasattr(step, "predict_proba"):
            scores = _plain(step.predict_proba(value))
            place = _note(found, f"{kind}.predict_proba", name, scores)
        outputs += [place] if place is not None else []
    elif hasattr(step, "transform"):
        outputs.append(_note(found, kind, name, _plain(step.transform(value))))
    else:
        raise InputError("an estimator that neither predicts nor transforms", got=kind)
    return tuple(found), tuple(("", place) for place in outputs if place is not None)


def _note(found: list[Recorded], kind: str, name: str, value: Any) -> int | None:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return None
    before = (len(found) - 1,) if found else ()
    tensor = real(torch.from_numpy(np.array(array)))
    found.append(Recorded(str(len(found)), kind, name, tensor, before))
    return len(found) - 1


def _plain(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value
