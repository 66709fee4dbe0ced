"""Classical models that move and scale numbers. They compute in doubles, as Core ML stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .graph import ARRAY, DOUBLE, INT64, TEXT, Graph, Value


def vectorize(graph: Graph, parts: Sequence[Value]) -> Value:
    """Numbers and vectors as one vector."""
    parts = [_once(graph, part, parts[:i]) for i, part in enumerate(parts)]
    sizes = [part.width if part.kind == ARRAY else 1 for part in parts]
    target = graph.array("vector", sum(sizes))

    def fill(spec: Any) -> None:
        for part, size in zip(parts, sizes, strict=True):
            spec.featureVectorizer.inputList.add(inputColumn=part.name, inputDimensions=size)

    graph.model("featureVectorizer", parts, [target], fill)
    elements = [(p.name, i) for p, size in zip(parts, sizes, strict=True) for i in range(size)]
    graph.hints.same(target.name, elements)
    return target


def _once(graph: Graph, part: Value, before: Sequence[Value]) -> Value:
    """A value that a vectorizer takes twice needs two names."""
    if part not in before:
        return part
    if part.kind == ARRAY:
        return extract(graph, part, range(part.width))
    return vectorize(graph, [part])


def extract(graph: Graph, source: Value, indices: Sequence[int]) -> Value:
    """Elements of a vector."""
    target = graph.array("part", len(indices), source.dtype)

    def fill(spec: Any) -> None:
        spec.arrayFeatureExtractor.extractIndex.extend(int(i) for i in indices)

    graph.model("arrayFeatureExtractor", [source], [target], fill)
    graph.hints.same(target.name, [(source.name, int(i)) for i in indices])
    return target


def element(graph: Graph, source: Value, what: str, kind: str = DOUBLE) -> Value:
    """The first element of a vector as a number of its own."""
    target = graph.single(what, kind)
    graph.model(
        "arrayFeatureExtractor",
        [source],
        [target],
        lambda spec: spec.arrayFeatureExtractor.extractIndex.append(0),
    )
    return target


def scale(graph: Graph, x: Value, shift: Any = None, factor: Any = None) -> Value:
    """``(x + shift) * factor``, in doubles."""
    target = graph.array("scaled", x.width)

    def fill(spec: Any) -> None:
        spec.scaler.SetInParent()
        if shift is not None:
            spec.scaler.shiftValue.extend(np.ravel(shift).astype(float).tolist())
        if factor is not None:
            spec.scaler.scaleValue.extend(np.ravel(factor).astype(float).tolist())

    graph.model("scaler", [x], [target], fill)
    by = 1.0 if factor is None else factor
    moved = np.multiply(0.0 if shift is None else shift, by)
    graph.hints.same(target.name, [(x.name, i) for i in range(x.width)], by, moved)
    return target


def center(graph: Graph, x: Value, mean: Any) -> Value:
    """``x - mean``, in doubles, before a program sees it.

    float32 has seven digits: where columns are far from zero, distances between them would be lost.
    """
    mean = np.broadcast_to(np.asarray(mean, np.float64), (x.width,))
    return scale(graph, x, shift=-mean) if np.any(mean) else x


def impute(graph: Graph, x: Value, values: Any, replace: float | None = None) -> Value:
    """Missing elements (NaN, or those that equal ``replace``) become these values."""
    target = graph.array("imputed", x.width)

    def fill(spec: Any) -> None:
        spec.imputer.imputedDoubleArray.vector.extend(np.ravel(values).astype(float).tolist())
        if replace is not None and not np.isnan(replace):
            spec.imputer.replaceDoubleValue = float(replace)

    graph.model("imputer", [x], [target], fill)
    graph.hints.same(target.name, [(x.name, i) for i in range(x.width)])
    return target


def impute_one(graph: Graph, x: Value, value: Any, replace: Any = None) -> Value:
    """A number or text that is missing, or left out, becomes this value."""
    target = graph.single("imputed", x.kind)

    def fill(spec: Any) -> None:
        name = {DOUBLE: "Double", INT64: "Int64", TEXT: "String"}[x.kind]
        setattr(spec.imputer, f"imputed{name}Value", value)
        if replace is not None:
            setattr(spec.imputer, f"replace{name}Value", replace)

    graph.model("imputer", [x], [target], fill, takes_missing=True)
    graph.hints.same(target.name, [(x.name, 0)])
    return target


def one_hot(graph: Graph, x: Value, categories: Sequence[Any], refuse_unknown: bool) -> Value:
    """A text or whole number as a vector with a single one; unknown ones are zeros or an error."""
    target = graph.array("one_hot", len(categories))

    def fill(spec: Any) -> None:
        encoder = spec.oneHotEncoder
        which = encoder.stringCategories if x.kind == TEXT else encoder.int64Categories
        which.vector.extend(categories)
        encoder.handleUnknown = 0 if refuse_unknown else 1

    graph.model("oneHotEncoder", [x], [target], fill)
    return target


def place(graph: Graph, x: Value, places: Mapping[str, int], unknown: int | None = None) -> Value:
    """The number that belongs to a text; without ``unknown`` another text is an error."""
    target = graph.single("code", INT64)

    def fill(spec: Any) -> None:
        mapping = spec.categoricalMapping
        for text, number in places.items():
            mapping.stringToInt64Map.map[text] = int(number)
        if unknown is not None:
            mapping.int64Value = unknown

    graph.model("categoricalMapping", [x], [target], fill)
    return target
