"""Estimators made of estimators that only pass data on: pipelines, unions, searches."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import scale
from .frame import Frame, names_of
from .graph import ARRAY, Value
from .ops import mb
from .registry import ROLES, maps
from .results import ask, regress, transform

_SEARCHES = {
    "GridSearchCV": "best_estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "RANSACRegressor": "estimator_",
    "SelfTrainingClassifier": "base_estimator_",
    "RFE": "estimator_",
    "RFECV": "estimator_",
}
_SELECTORS = (
    "VarianceThreshold", "SelectKBest", "SelectPercentile", "SelectFpr", "SelectFdr", "SelectFwe",
    "GenericUnivariateSelect", "SelectFromModel", "SequentialFeatureSelector", "RFE", "RFECV",
)  # fmt: skip
_CHOSEN = {"RFE": ("classifier", "regressor"), "RFECV": ("classifier", "regressor")}


def unwrap(estimator: Any, frame: Frame) -> tuple[Any, Frame]:
    """The estimator that predicts, and the columns that it sees."""
    while True:
        name = type(estimator).__name__
        if name == "Pipeline":
            for _, step in estimator.steps[:-1]:
                frame = transform(step, frame)
            estimator = estimator.steps[-1][1]
        elif name in _SEARCHES and not (
            name in _CHOSEN and not hasattr(estimator, "_estimator_type")
        ):
            if name in _CHOSEN:
                frame = selector(estimator, frame)
            estimator = getattr(estimator, _SEARCHES[name])
        else:
            return estimator, frame


def last(estimator: Any) -> Any:
    """The estimator that predicts, without mapping anything."""
    while True:
        name = type(estimator).__name__
        if name == "Pipeline":
            estimator = estimator.steps[-1][1]
        elif name in _SEARCHES and name not in _CHOSEN:
            estimator = getattr(estimator, _SEARCHES[name])
        else:
            return estimator


def _passing(role: str) -> Any:
    def mapper(estimator: Any, frame: Frame) -> Any:
        inner, frame = unwrap(estimator, frame)
        if role == "transformer":
            return transform(inner, frame)
        return ask(inner, frame, role)

    return mapper


for _role in ROLES:
    _names = ["Pipeline"] + [n for n in _SEARCHES if n.endswith("SearchCV")]
    _names += [n for n, roles in _CHOSEN.items() if _role in roles]
    _names += {"regressor": ["RANSACRegressor"], "classifier": ["SelfTrainingClassifier"]}.get(
        _role, []
    )
    maps(_role, *_names, how="its steps one after the other, or the estimator that it chose")(
        _passing(_role)
    )


@maps("transformer", "ColumnTransformer", how="each part on its columns, results side by side")
def column_transformer(estimator: Any, frame: Frame) -> Frame:
    """Parts side by side, in the order of the fitted transformer."""
    frame = in_training_order(estimator, frame)
    weights = estimator.transformer_weights or {}
    indices = estimator._transformer_to_input_indices
    parts = []
    for name, part, columns in estimator.transformers_:
        chosen = indices.get(name)
        chosen = _positions(columns, frame) if chosen is None else list(chosen)
        if not len(chosen) or part == "drop":
            continue
        parts.append(_weighted(transform(part, frame.take(chosen)), weights.get(name)))
    return Frame(frame.graph, ()).join(parts)


def in_training_order(estimator: Any, frame: Frame) -> Frame:
    """The columns that an estimator knows by name, in the order of its training."""
    names = names_of(estimator)
    if names is None or any(c.name is None for c in frame.columns):
        return frame
    return frame.take([frame.position(name) for name in names])


def _positions(columns: Any, frame: Frame) -> list[int]:
    return [frame.position(c) if isinstance(c, str) else int(c) for c in np.atleast_1d(columns)]


def _weighted(frame: Frame, weight: float | None) -> Frame:
    if weight is None or weight == 1:
        return frame
    return Frame.of(frame.graph, scale(frame.graph, frame.vector(), factor=[weight]))


@maps("transformer", "FeatureUnion", how="each part on all columns, results side by side")
def feature_union(estimator: Any, frame: Frame) -> Frame:
    """Parts side by side."""
    weights = estimator.transformer_weights or {}
    parts = [
        _weighted(transform(part, frame), weights.get(name))
        for name, part in estimator.transformer_list
        if part != "drop"
    ]
    return Frame(frame.graph, ()).join(parts)


@maps("transformer", *_SELECTORS, how="the chosen columns")
def selector(estimator: Any, frame: Frame) -> Frame:
    """Only some columns."""
    return frame.take(np.flatnonzero(estimator.get_support()))


@maps(
    "regressor", "TransformedTargetRegressor", how="its regressor, and the way back as ML Program"
)
def transformed_target(estimator: Any, frame: Frame) -> Value:
    """The regressor's prediction, with the target's transformation undone."""
    value = regress(estimator.regressor_, frame)
    inverse = estimator.transformer_
    name = type(inverse).__name__
    if name == "FunctionTransformer":
        return _function_back(inverse, value, frame)
    vector = value if value.kind == ARRAY else Frame.of(frame.graph, value).vector()
    if name in ("StandardScaler", "RobustScaler", "MaxAbsScaler"):
        center = getattr(inverse, "mean_", getattr(inverse, "center_", None))
        factor = 1.0 if inverse.scale_ is None else inverse.scale_
        shift = None if center is None else center / factor
        return scale(frame.graph, vector, shift, factor)
    if name == "MinMaxScaler":
        return scale(frame.graph, vector, -inverse.min_, 1.0 / inverse.scale_)
    raise Problem(
        f"TransformedTargetRegressor undoes {name}, which is not mapped to Core ML",
        hint="a function of numpy (log1p and expm1, log and exp) or a scaler is",
    )


_BACK = {
    "exp": lambda x: mb.exp(x=x),
    "expm1": lambda x: mb.sub(x=mb.exp(x=x), y=np.float32(1)),
    "square": lambda x: mb.mul(x=x, y=x),
    "sqrt": lambda x: mb.sqrt(x=x),
}


def _function_back(inverse: Any, value: Value, frame: Frame) -> Value:
    function = inverse.inverse_func
    if function is None:
        return value
    name = getattr(function, "__name__", "?")
    if name not in _BACK or not isinstance(function, np.ufunc):
        raise Problem(
            f"TransformedTargetRegressor calls {name}, which is code, not a model",
            hint=f"numpy's functions can be mapped: {', '.join(sorted(_BACK))}",
        )
    vector = value if value.kind == ARRAY else Frame.of(frame.graph, value).vector()
    return frame.graph.compute(name, vector, vector.width, _BACK[name])
