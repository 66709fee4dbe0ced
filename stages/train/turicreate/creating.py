"""Calls of Turi Create's `create` functions, with the parameters of the kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Dict  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem

Options = Dict[str, Any]  # noqa: UP006
_SEEDED = {"logistic-classifier": "seed"}  # others that draw call it random_seed
_OWN_COLUMNS = ("cluster_id", "distance", "row_id", "size", "sum_squared_distance")
_UNSEEDED = ("classifier", "regression", "linear-regression", "svm-classifier")


def table(turicreate: Any, toolkit: Options, frame: Any, params: Any) -> Any:
    """A model of the columns of a table."""
    options = dict(toolkit)
    name = options.pop("name")
    if name == "kmeans":
        return _kmeans(turicreate, options, frame, params.seed)
    create = getattr(turicreate, name.replace("-", "_")).create
    if name == "dbscan":
        return told(create, frame, verbose=False, **options)
    if name in ("nearest-neighbors", "nearest-neighbor-classifier"):
        return _neighbours(create, name, options, frame, params.target)
    if options.get("class_weights") == "none":
        options["class_weights"] = None
    if name not in _UNSEEDED:
        options[_SEEDED.get(name, "random_seed")] = params.seed
    features = [c for c in frame.column_names() if c != params.target]
    options.update(validation_set=None, verbose=False, features=features)
    return told(create, frame, target=params.target, **options)


def told(create: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """What `create` makes; what it complains about is told to the user.

    Raises:
        Problem: Turi Create refuses the data or a parameter.
    """
    try:
        return create(*given, **options)
    except (RuntimeError, ValueError, TypeError) as error:  # ToolkitError is a RuntimeError
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Problem(f"Turi Create: {lines[0] if lines else error!r}") from error
    except SystemExit as error:
        raise Problem(
            "Turi Create wanted to download a network and ended the process",
            hint="give its model_cache as the input weights",
        ) from error


def _kmeans(turicreate: Any, options: Options, frame: Any, seed: int) -> Any:
    """Its own choice of centres draws from the clock: the seed chooses rows instead."""
    taken = sorted(set(frame.column_names()) & set(_OWN_COLUMNS))
    if taken:
        raise Problem(
            f"kmeans has a column '{taken[0]}' of its own: rename yours",
            hint=f"data/table does: rename: {{{taken[0]}: ...}}",
        )
    count = options["num_clusters"]
    if len(frame) < count:
        raise Problem(f"num_clusters: {count}, but there are {len(frame)} rows")
    chosen = np.zeros(len(frame), dtype=int)
    chosen[np.random.RandomState(seed).permutation(len(frame))[:count]] = 1
    centres = frame[turicreate.SArray(chosen.tolist())]
    iterations = options.get("max_iterations", 10)
    return told(
        turicreate.kmeans.create,
        frame, initial_centers=centres, max_iterations=iterations, verbose=False,
    )  # fmt: skip


def _neighbours(
    create: Callable[..., Any], name: str, options: Options, frame: Any, target: Any
) -> Any:
    options = {k: v for k, v in options.items() if k != "max_neighbors"}  # said when it is asked
    distance = options.pop("distance", "auto")
    options["distance"] = None if distance == "auto" else distance
    features = [c for c in frame.column_names() if c != target]
    if name == "nearest-neighbor-classifier":
        options["target"] = target
    return told(create, frame, features=features, verbose=False, **options)
