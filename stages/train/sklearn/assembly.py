"""The estimator with all that rows go through before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from ..._shared.problem.problem import Problem
from ..._shared.tables.table import CATEGORY, NUMBER
from ..._shared.tables.words import suggestion
from .catalogue import build, seeded, unique

Columns = Sequence[Mapping[str, Any]]
_STRATEGIES = {"mean": "mean", "median": "median", "most-frequent": "most_frequent"}


def assemble(params: Any, columns: Columns) -> Any:
    """An unfitted estimator, or a Pipeline that ends in it.

    Raises:
        Problem: a name or parameter that scikit-learn does not know, or columns that are not there.
    """
    last = build(params.estimator, params.params, "estimator")
    first = _branches(params, columns) if params.transform else _standard(params, columns, last)
    steps = [("columns", first)] if first is not None else []
    steps += _steps(params.steps, "steps")
    for name, step in steps:
        if not hasattr(step, "transform"):
            raise Problem(f"steps: {type(step).__name__} ('{name}') does not transform rows")
    if not steps:
        return seeded(last, params.seed)
    return seeded(Pipeline([*steps, ("estimator", last)]), params.seed)


def _steps(given: Sequence[Any], where: str) -> list[tuple[str, Any]]:
    plain = [{"use": step, "params": {}} if isinstance(step, str) else step for step in given]
    names = unique([step.get("name") or step["use"].lower() for step in plain])
    return [
        (name, build(step["use"], step.get("params") or {}, f"{where}[{place}]"))
        for place, (name, step) in enumerate(zip(names, plain, strict=True))
    ]


def _branches(params: Any, columns: Columns) -> ColumnTransformer:
    taken: dict[str, int] = {}
    found = []
    for place, branch in enumerate(params.transform):
        where = f"transform[{place}]"
        names = _chosen(branch["columns"], columns, where)
        for name in names:
            if name in taken:
                raise Problem(f"{where}: column '{name}' is in transform[{taken[name]}] already")
            taken[name] = place
        steps = _steps(branch["steps"], f"{where}.steps")
        found.append(
            (f"part_{place + 1}", Pipeline(steps) if len(steps) > 1 else steps[0][1], names)
        )
    return _side_by_side(found, params.remainder)


def _chosen(wanted: Any, columns: Columns, where: str) -> list[str]:
    every = [column["name"] for column in columns]
    if isinstance(wanted, str):
        found = [column["name"] for column in columns if column["type"] == wanted]
        if not found:
            raise Problem(f"{where}: the table has no column of type {wanted}")
        return found
    names: list[str] = []
    for pattern in wanted:
        fitting = [n for n in every if n == pattern] or [
            n for n in every if fnmatchcase(n, pattern)
        ]
        if not fitting:
            raise Problem(
                f"{where}: no column '{pattern}' is learnt from", hint=suggestion(pattern, every)
            )
        names += [name for name in fitting if name not in names]
    return names


def _standard(params: Any, columns: Columns, last: Any) -> Any:
    """What ``missing`` and ``categories`` say, or None where there is nothing to do."""
    numbers = [column["name"] for column in columns if column["type"] == NUMBER]
    texts = [column for column in columns if column["type"] == CATEGORY]
    strategy = _STRATEGIES.get(params.missing)
    fill = SimpleImputer(strategy=strategy) if strategy else None
    if not texts:
        return fill
    parts: list[tuple[str, Any, list[str]]] = []
    if numbers:
        parts.append(("number", fill if fill is not None else "passthrough", numbers))
    encoder = _encoder(params, texts)
    if strategy:
        imputer = SimpleImputer(strategy="most_frequent")
        encoder = Pipeline([("fill", imputer), ("encode", encoder)])
    parts.append(("category", encoder, [column["name"] for column in texts]))
    if params.categories == "native":
        _tell_natively(last, len(numbers), len(texts), params.estimator)
    return _side_by_side(parts, "drop")


def _encoder(params: Any, texts: Columns) -> Any:
    # The categories of the whole table: a fold that lacks one has the same features.
    every = [np.array(column["categories"], dtype=object) for column in texts]
    lenient = params.unknown == "ignore" or params.missing == "keep"
    if params.categories == "one-hot":
        return OneHotEncoder(
            categories=every,
            handle_unknown="ignore" if lenient else "error",
            sparse_output=False,
            dtype=np.float64,
        )
    return OrdinalEncoder(
        categories=every,
        handle_unknown="use_encoded_value" if lenient else "error",
        unknown_value=np.nan if lenient else None,
        dtype=np.float64,
    )


def _tell_natively(last: Any, numbers: int, texts: int, name: str) -> None:
    if "categorical_features" not in last.get_params(deep=False):
        raise Problem(
            f"categories: native is nothing that {name} knows",
            hint="HistGradientBoostingClassifier and HistGradientBoostingRegressor do",
        )
    last.set_params(categorical_features=list(range(numbers, numbers + texts)))


def _side_by_side(parts: list[Any], remainder: str) -> ColumnTransformer:
    return ColumnTransformer(
        parts, remainder=remainder, sparse_threshold=0.0, verbose_feature_names_out=False
    )
