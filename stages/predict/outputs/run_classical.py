"""Asks a model of tables: of scikit-learn, XGBoost, LightGBM or LIBSVM."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..._shared.parity.samples import row_name, spread
from ..._shared.predictions.asking import completed, described, record
from ..._shared.predictions.form import Predictions
from ..._shared.problem.problem import Problem, told
from ..._shared.tables.description import conform, sheet_for
from ..._shared.tabular.stored import Stored, load

_FORMATS = {
    ".json": "XGBoost",
    ".ubj": "XGBoost",
    ".txt": "LightGBM",
    ".libsvm": "LIBSVM",
}


@told
def run(job: Any) -> None:
    """Ask about every row at once."""
    path = job.inputs["model"]
    stored = load(path, job.trust("model"))
    description = stored.description
    about = described(description, _FORMATS.get(path.suffix, "scikit-learn"))
    labels = tuple(str(label) for label in description["labels"] or ())
    about = completed(job, replace(about, labels=labels, reading=description["reading"]))
    sheet = sheet_for(_table(job.inputs["samples"]), description)
    rows = spread(range(len(sheet.numbers)), job.params.limit)
    job.progress(0, len(rows), sheet.name)
    table = conform(sheet, description).take(np.array(rows))
    answers = _asked(job, stored, table, path)
    names = [row_name(sheet, row) for row in rows]
    outputs = {name: [np.asarray(value) for value in found] for name, found in answers.items()}
    job.progress(len(rows), len(rows), sheet.name)
    record(job, Predictions(about, names, outputs))


def _asked(job: Any, stored: Stored, table: Any, path: Path) -> dict[str, np.ndarray]:
    try:
        with threadpool_limits(job.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # were told when it was trained
            return stored.ask(table)
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise Problem(f"{path.name} cannot answer: {str(error).splitlines()[0]}") from error


def _table(samples: Path) -> Path:
    if samples.suffix == ".npz" or (samples.is_dir() and any(samples.glob("*.npz"))):
        raise Problem(
            f"samples: {samples.name} holds arrays, a model of tables is asked about a table",
            hint="give a CSV, TSV or Parquet file with the columns that it was trained on",
        )
    return samples
