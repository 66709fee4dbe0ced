"""What is learnt and what is asked: rows with their truth, weights and groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from ..tables import target
from ..tables.choosing import choose, learnt
from ..tables.description import check_full, columns_of, conform, sheet_for
from ..tables.sheet import Layout, Sheet, read_sheet
from ..tables.table import Table

CLASSIFICATION, REGRESSION = "classification", "regression"
CLUSTERING, ANOMALY, TRANSFORM = "clustering", "anomaly", "transform"

# What a model of each task answers with: names of outputs, and what they hold.
GIVES = {
    CLASSIFICATION: [("label", "label"), ("probabilities", "probabilities")],
    REGRESSION: [("value", "value")],
    CLUSTERING: [("cluster", "cluster")],
    ANOMALY: [("anomaly", "label"), ("score", "score")],
    TRANSFORM: [("components", "vector")],
}


@dataclass(frozen=True)
class Data:
    """Rows; ``truth`` holds indices of labels (int64) or numbers (float64)."""

    table: Table
    truth: np.ndarray | None
    weight: np.ndarray | None
    group: np.ndarray | None

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: np.ndarray) -> Data:
        """Some rows, in the order given."""
        return Data(
            self.table.take(rows),
            None if self.truth is None else self.truth[rows],
            None if self.weight is None else self.weight[rows],
            None if self.group is None else self.group[rows],
        )


@dataclass(frozen=True)
class Given:
    """All tables of a stage, and what is known of them all."""

    train: Data
    test: Data | None
    validation: Data | None
    columns: list[dict[str, Any]]
    labels: list[Any] | None
    reading: dict[str, Any]


def read(job: Any, task: str) -> Given:
    """The tables of a job.

    Args:
        job: with the parameters of JudgingParams; inputs "table", perhaps "test" and "validation".
        task: decides what the target means.

    Raises:
        Problem: whatever is wrong with a table.
    """
    params = job.params
    reading = {
        "header": params.header,
        "skip": params.skip,
        "delimiter": params.delimiter,
        "decimal": params.decimal,
        "missing_values": list(params.missing_values),
        "unknown": params.unknown,
    }
    layout = Layout(params.header, params.skip, params.delimiter)
    sheet = read_sheet(job.inputs["table"], layout)
    taken = [name for name in (params.target, params.weight, params.group) if name is not None]
    names = choose(sheet, params.include, params.exclude, taken)
    table = learnt(sheet, names, params.types, params)
    if params.missing == "error":
        for name in names:
            check_full(table, name)
    columns = columns_of(table, params.missing)
    truth, labels = _truth(sheet, params, task, reading, None)
    train = Data(table, truth, *_rest(sheet, params, reading))
    described = {"columns": columns, "reading": reading}
    others = {
        role: _other(job.inputs[role], params, task, described, labels)
        for role in ("test", "validation")
        if role in job.inputs
    }
    return Given(train, others.get("test"), others.get("validation"), columns, labels, reading)


def _other(
    path: Path, params: Any, task: str, described: dict[str, Any], labels: list[Any] | None
) -> Data:
    sheet = sheet_for(path, described)
    reading = described["reading"]
    truth, _ = _truth(sheet, params, task, reading, labels)
    return Data(conform(sheet, described), truth, *_rest(sheet, params, reading))


def _truth(
    sheet: Sheet, params: Any, task: str, reading: dict[str, Any], labels: list[Any] | None
) -> tuple[np.ndarray | None, list[Any] | None]:
    if params.target is None:
        if task in (CLASSIFICATION, REGRESSION):
            raise Problem(f"{task} needs a target: the column to learn")
        return None, None
    if task == REGRESSION:
        return target.numbers(sheet, params.target, reading), None
    return target.truth(sheet, params.target, reading, labels)


def _rest(
    sheet: Sheet, params: Any, reading: dict[str, Any]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Weights and groups."""
    weight = None if params.weight is None else target.weights(sheet, params.weight, reading)
    if params.group is None:
        return weight, None
    column = target.column(sheet, params.group, "category", reading)
    return weight, column.values
