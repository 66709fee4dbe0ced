"""XGBoost's and LightGBM's sums of trees through what their objectives make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ensemble import LOGISTIC, SOFTMAX, Tree, classifier, regressor
from .frame import Frame
from .graph import Value
from .ops import mb
from .results import Scores
from .sk_linear import linear_vector

IDENTITY, SIGMOID, EXP, SOFT, EACH_SIGMOID, SOFTPLUS, SIGNED_SQUARE, STEP = (
    "identity", "sigmoid", "exp", "softmax", "each sigmoid", "softplus", "signed square", "step",
)  # fmt: skip


@dataclass(frozen=True)
class Boosted:
    """What a booster computes.

    Attributes:
        frame: the columns that its trees look at.
        trees: leaves are summed by dimension.
        base: what the sums begin with, [dimensions].
        link: what is made of the sums, one of the names above.
        linear: weights [dimensions, columns] in the place of trees.
        missing: whether its trees know where missing values go.
    """

    frame: Frame
    trees: list[Tree]
    base: Any
    link: str
    linear: Any = None
    missing: bool = True


def sums(model: Boosted) -> Value:
    """The trees' sums, a vector."""
    if model.linear is not None:
        return linear_vector(model.frame, model.linear, model.base)
    return regressor(model.frame, model.trees, model.base, missing=model.missing)


def number(model: Boosted) -> Value:
    """The prediction of a regressor or ranker."""
    if model.link == IDENTITY and model.linear is None and len(model.base) == 1:
        return regressor(model.frame, model.trees, model.base, missing=model.missing, single=True)
    value = sums(model)
    if model.link == IDENTITY:
        return value
    link = model.link
    return model.frame.graph.compute("prediction", value, value.width, lambda x: _linked(x, link))


def _linked(x: Any, link: str) -> Any:
    one, minus = np.float32(1), np.float32(-1)
    if link == EXP:
        return mb.exp(x=x)
    if link == SOFTPLUS:  # log(1 + exp(x)), which is x where x is great
        small = mb.log(x=mb.add(x=mb.exp(x=mb.mul(x=mb.abs(x=x), y=minus)), y=one))
        return mb.add(x=mb.maximum(x=x, y=np.float32(0)), y=small)
    if link == SIGNED_SQUARE:
        return mb.mul(x=x, y=mb.abs(x=x))
    if link == STEP:
        return mb.cast(x=mb.greater(x=x, y=np.float32(0)), dtype="fp32")
    return mb.sigmoid(x=x)


def scores(model: Boosted) -> Scores:
    """The probabilities of a classifier."""
    graph, value = model.frame.graph, sums(model)

    def build(x: Any) -> Any:
        if model.link == SOFT:
            return mb.softmax(x=x, axis=0)
        if model.link == EACH_SIGMOID:
            return mb.sigmoid(x=x)
        both = mb.concat(values=[mb.mul(x=x, y=np.float32(-1)), x], axis=0)
        return mb.sigmoid(x=both)

    width = value.width if model.link in (SOFT, EACH_SIGMOID) else 2
    return Scores(graph.compute("probabilities", value, width, build))


def whole_classifier(model: Boosted, labels: Sequence[Any]) -> tuple[Value, Value] | None:
    """A tree ensemble classifier where it can say the same, else None."""
    if model.linear is not None or model.link not in (SOFT, SIGMOID, EACH_SIGMOID):
        return None
    transform = {SOFT: SOFTMAX, SIGMOID: LOGISTIC, EACH_SIGMOID: LOGISTIC}[model.link]
    return classifier(
        model.frame, model.trees, model.base, labels, transform, missing=model.missing
    )
