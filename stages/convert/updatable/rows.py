"""Samples for the trial of a model of tables: rows that were given, or what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..._shared.problem.problem import Problem
from ..._shared.tables.sheet import read_sheet
from ..._shared.tables.table import CATEGORY, NUMBER, Table, require, typed
from .estimator import Estimator
from .made import Cases, Made

_DRAWN = 24
_CLEAR = 1e-6  # by which the last neighbour must be nearer than the next one


def cases_of(job: Any, source: Estimator, made: Made) -> Cases:
    """Rows with truths, and what scikit-learn says of them.

    Raises:
        Problem: the table does not fit the model, or a label is none of its own.
    """
    given = job.inputs.get("samples")
    if given is None:
        rows, truths = _drawn(source, made, job.params.seed)
    else:
        rows, truths = _given(Path(given), source, made, job.params)
    rows = rows.astype(np.float32).astype(np.float64)  # what the model is given
    inputs = [{job.params.features_name: row.astype(np.float32)} for row in rows]
    return Cases(inputs, truths, _asked(source, made, rows), given is not None)


def _asked(source: Estimator, made: Made, rows: Any) -> Any:
    asked: Any = rows
    if hasattr(source.whole, "feature_names_in_"):
        names = [column["name"] for column in source.description["columns"]]
        asked = pd.DataFrame(rows, columns=names)
    if not made.labels:
        return np.asarray(source.whole.predict(asked), dtype=np.float64).reshape(len(rows), -1)
    scores = np.array(source.whole.predict_proba(asked), dtype=np.float64)
    if made.learns == "neighbours":
        scores[_undecided(source, rows)] = np.nan
    return scores


def _undecided(source: Estimator, rows: Any) -> Any:
    """Rows whose last neighbour is as far as the next one: either may vote."""
    last, scaled = source.last, rows * source.scale + source.shift
    if last.n_neighbors >= last.n_samples_fit_:
        return np.zeros(len(rows), bool)
    far = last.kneighbors(scaled, last.n_neighbors + 1)[0]
    return far[:, -1] - far[:, -2] <= _CLEAR * np.maximum(far[:, -1], 1e-12)


def _given(path: Path, source: Estimator, made: Made, params: Any) -> tuple[Any, list[Any]]:
    names = [column["name"] for column in source.description["columns"]]
    target = params.target_column or source.description.get("target")
    if not target:
        raise Problem(
            "samples: the model does not say which column holds the truth",
            hint="name it: target_column: ...",
        )
    sheet = read_sheet(path)
    require(sheet, target)
    kinds = {**dict.fromkeys(names, NUMBER), target: CATEGORY if made.labels else NUMBER}
    table = typed(sheet, [*names, target], kinds)
    places = np.linspace(0, len(table) - 1, min(params.limit, len(table))).round().astype(int)
    rows = np.stack([table.columns[name].values[places] for name in names], axis=1)
    holes = np.argwhere(np.isnan(rows))
    if len(holes):
        row, column = holes[0]
        raise Problem(f"{table.place(int(places[row]))}: column '{names[column]}' is empty")
    return rows, [_truth(table, target, int(place), made) for place in places]


def _truth(table: Table, target: str, place: int, made: Made) -> Any:
    value = table.columns[target].values[place]
    if not made.labels:
        return [float(value)]
    known = {str(label): label for label in made.labels}
    if value not in known:
        raise Problem(
            f"{table.place(place)}: the model has no label '{value}'",
            hint=f"it has {', '.join(list(known)[:20])}",
        )
    return known[value]


def _drawn(source: Estimator, made: Made, seed: int) -> tuple[Any, list[Any]]:
    """Rows around what the scalers saw; where there are none, around zero."""
    random = np.random.default_rng(seed)
    rows = (random.standard_normal((_DRAWN, source.width)) - source.shift) / source.scale
    if made.labels:
        return rows, [made.labels[place % len(made.labels)] for place in range(_DRAWN)]
    width = np.atleast_2d(source.last.coef_).shape[0]
    return rows, [random.standard_normal(width).tolist() for _ in range(_DRAWN)]
