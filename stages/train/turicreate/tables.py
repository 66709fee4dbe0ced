"""Regression, classification, groups and neighbours: what learns from the columns of a table."""

from __future__ import annotations

from typing import Any, Dict, List, Optional  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables import target
from ..._shared.tables.choosing import choose, learnt
from ..._shared.tables.description import columns_of, conform, inputs_of, sheet_for
from ..._shared.tables.sheet import Layout, Sheet, read_sheet
from ..._shared.tables.table import NUMBER, Table
from ..._shared.turi import asking
from ..._shared.turi.frames import of_table
from ..._shared.turi.toolkits import WITHOUT_SCORES, classifies
from . import creating, figures, splitting
from .writing import write_rows

Reading = Dict[str, Any]  # noqa: UP006


class Tables:
    """Rows of columns, and what is to be said of each."""

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc, params = job, turicreate, job.params
        self.toolkit = dict(params.toolkit)
        self.name = self.toolkit["name"]
        self.reading = reading_of(params)
        sheet = read_sheet(job.inputs["data"], Layout(params.header, params.skip, params.delimiter))
        taken = [params.target] if params.target else []
        names = choose(sheet, params.include, params.exclude, taken)
        self._check(sheet, names)
        table = learnt(sheet, names, params.types, params)
        self.columns = columns_of(table, "keep")
        self.all = Rows(table, self._truth(sheet))
        self.test: Optional[Rows] = None  # noqa: UP045
        if "test" in job.inputs:
            asked = sheet_for(job.inputs["test"], {"reading": self.reading})
            described = {"columns": self.columns, "reading": self.reading}
            self.test = Rows(conform(asked, described), self._truth(asked))

    @property
    def judged(self) -> bool:
        """Whether there is something to be right about."""
        return self._job.params.target is not None

    def split(self, share: float, seed: int) -> Any:
        """Rows to learn and rows to ask."""
        if classifies(self.name):
            learn, ask = splitting.by_label(self.all.truth, share, seed)
        else:
            learn, ask = splitting.at_random(len(self.all), share, seed)
        return self.all.take(learn), self.all.take(ask)

    def learn(self, rows: Any) -> Any:
        """A model."""
        return creating.table(self._tc, self.toolkit, self._frame(rows), self._job.params)

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Figures on rows that were not learnt, or of groups on all."""
        job = self._job
        if rows is None:
            return self._groups(model)
        answers = asking.table(model, self.describe(model), self._frame(rows))
        if not classifies(self.name):
            return figures.numbers(job, rows.truth, answers[job.params.target])
        labels = self._labels(model)
        scores = None if self.name in WITHOUT_SCORES else answers[f"{job.params.target}Probability"]
        return figures.classes(job, rows.truth, answers[job.params.target], scores, labels)

    def describe(self, model: Any) -> Reading:
        """What the model says of itself."""
        named = self._job.params.target
        found = {
            "toolkit": self.name,
            "target": named,
            "columns": self.columns,
            "reading": self.reading,
            "inputs": inputs_of(self.columns),
            "labels": None,
            "task": "clustering",
        }
        if named is None:
            found["outputs"] = [{"name": "cluster", "gives": "label"}]
        elif classifies(self.name):
            found["labels"] = self._labels(model)
            found["task"] = "classification"
            found["outputs"] = asking.of_classifier(named, self.name not in WITHOUT_SCORES)
        else:
            found["outputs"], found["task"] = [{"name": named, "gives": "value"}], "regression"
        return found

    def samples(self, rows: Any) -> None:
        """Rows for validation: the columns that are learnt, as a table."""
        asked = rows if rows is not None else self.all
        chosen = asked.take(spread(len(asked), self._job.params.samples))
        columns = {c.name: c.values.tolist() for c in chosen.table.columns.values()}
        write_rows(self._job.outputs["samples"] / "samples.csv", columns)

    def _groups(self, model: Any) -> figures.Facts:
        if self.name not in ("kmeans", "dbscan"):
            return {}
        found = np.array(model.cluster_id["cluster_id"], dtype=object)
        clusters = len({c for c in found if c is not None})
        self._job.metric("clusters", clusters)
        facts: figures.Facts = {"clusters": clusters}
        if self.name == "kmeans":
            distances = np.array(model.cluster_id["distance"], dtype=np.float64)
            facts["inertia"] = float((distances**2).mean())
            self._job.metric("inertia", facts["inertia"])
        return facts

    def _labels(self, model: Any) -> List[str]:  # noqa: UP006
        if self.name == "nearest-neighbor-classifier":  # it does not tell them
            return sorted(set(self.all.truth or ()))
        return asking.labels_of(model)

    def _frame(self, rows: Any) -> Any:
        more = {} if rows.truth is None else {self._job.params.target: rows.truth}
        return of_table(rows.table, self._tc, more)

    def _truth(self, sheet: Sheet) -> Optional[List[Any]]:  # noqa: UP006, UP045
        named = self._job.params.target
        if named is None:
            return None
        if not classifies(self.name):
            return target.numbers(sheet, named, self.reading).tolist()
        return labels_in(sheet, named, self.reading)

    def _check(self, sheet: Sheet, names: List[str]) -> None:  # noqa: UP006
        # Core ML's names of a classifier's outputs are made of the target's.
        if f"{self._job.params.target}Probability" in names:
            raise Problem(f"{sheet.name}: '{self._job.params.target}Probability' names an output")


class Rows:
    """Columns, and the truth where there is one."""

    def __init__(self, table: Table, truth: Optional[List[Any]]) -> None:  # noqa: UP006, UP045
        self.table, self.truth = table, truth

    def __len__(self) -> int:
        return len(self.table)

    def take(self, places: np.ndarray) -> Rows:
        """Some rows, in the order given."""
        truth = None if self.truth is None else [self.truth[int(p)] for p in places]
        return Rows(self.table.take(places), truth)


def reading_of(params: Any) -> Reading:
    """How files are laid out, as descriptions keep it."""
    return {
        "header": params.header,
        "skip": params.skip,
        "delimiter": params.delimiter,
        "decimal": params.decimal,
        "missing_values": list(params.missing_values),
        "unknown": "ignore",
    }


def labels_in(sheet: Sheet, name: str, reading: Reading) -> List[str]:  # noqa: UP006
    """The labels of rows, as text.

    Raises:
        Problem: a row has none, or all have the same.
    """
    places, labels = target.truth(sheet, name, reading)
    return [str(labels[place]) for place in places]


def spread(count: int, most: int) -> np.ndarray:
    """At most so many places, evenly spread."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(int)


def numeric(table: Table) -> bool:
    """Whether all columns hold numbers."""
    return all(column.type == NUMBER for column in table.columns.values())
