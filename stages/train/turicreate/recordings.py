"""Recordings of sensors for the activity classifier: tables and .ts files.

Source: the .ts format of the UEA and UCR archives (timeseriesclassification.com): after `@data` a
line for each recording, dimensions parted by colons, values by commas, the label last.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables.choosing import choose
from ..._shared.tables.description import sheet_for
from ..._shared.tables.table import CATEGORY, NUMBER, typed
from ..._shared.turi import asking
from ..._shared.turi.toolkits import ACTIVITY
from . import figures, splitting
from .creating import told
from .tables import reading_of, spread
from .writing import write_arrays


class Recording:
    """Moments in order: values, float64 [T, C], and a label for each."""

    def __init__(self, name: str, values: np.ndarray, labels: Sequence[str]) -> None:
        self.name, self.values, self.labels = name, values, list(labels)


class Many:
    """Some recordings."""

    def __init__(self, items: List[Recording]) -> None:  # noqa: UP006
        self.items = items

    def __len__(self) -> int:
        return sum(len(item.labels) for item in self.items)


class Recordings:
    """Recordings with the same columns."""

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc = job, turicreate
        self.toolkit = dict(job.params.toolkit)
        self.target, self.session = job.params.target, self.toolkit["session"]
        self.window = int(self.toolkit["prediction_window"])
        self.reading = reading_of(job.params)
        self.columns, found = self._read(job.inputs["data"])
        self.all = Many(found)
        self.test: Optional[Many] = None  # noqa: UP045
        if "test" in job.inputs:
            columns, found = self._read(job.inputs["test"])
            if columns != self.columns:
                raise Problem(f"test has the columns {columns}, learnt are {self.columns}")
            self.test = Many(found)

    judged = True

    def split(self, share: float, seed: int) -> Any:
        """Whole recordings to learn and to ask, by their most frequent label."""
        items = self.all.items
        labels = [Counter(item.labels).most_common(1)[0][0] for item in items]
        parts = splitting.by_label(labels, share, seed)
        return tuple(Many([items[int(place)] for place in part]) for part in parts)

    def learn(self, rows: Any) -> Any:
        """A model."""
        options = {k: v for k, v in self.toolkit.items() if k not in ("name", "session")}
        return told(
            self._tc.activity_classifier.create,
            self._frame(rows.items), self.session, self.target, features=self.columns,
            validation_set=None, verbose=False, random_seed=self._job.params.seed, **options,
        )  # fmt: skip

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Figures by window; the memory lasts from one window of a recording to the next."""
        labels = asking.labels_of(model)
        vectors = model.predict(
            self._frame(rows.items), output_type="probability_vector",
            output_frequency="per_window",
        ).sort([self.session, "prediction_id"])  # fmt: skip
        scores = np.array([list(v) for v in vectors["probability_vector"]])
        truth = [label for item in rows.items for label in _labels(item, self.window)]
        said = [labels[place] for place in scores.argmax(axis=1)]
        return figures.classes(self._job, truth, said, scores, labels)

    def describe(self, model: Any) -> figures.Facts:
        """What the model says of itself."""
        return {
            "toolkit": ACTIVITY,
            "target": self.target,
            "session": self.session,
            "window": self.window,
            "task": "activity-classification",
            "labels": asking.labels_of(model),
            "columns": [{"name": name, "type": NUMBER} for name in self.columns],
            "inputs": [
                {
                    "name": name, "kind": "tensor", "layout": None, "shape": [self.window],
                    "dtype": "float64", "preprocessing": None,
                }
                for name in self.columns
            ],
            "outputs": asking.of_classifier(self.target),
        }  # fmt: skip

    def samples(self, rows: Any) -> None:
        """Whole windows, each a file with an array for each column."""
        pieces = []
        for item in (rows if rows is not None else self.all).items:
            for start in range(0, len(item.values) - self.window + 1, self.window):
                pieces.append((f"{item.name}-{start}", item.values[start : start + self.window]))
        if not pieces:
            raise Problem(f"no recording has {self.window} moments", hint="a shorter window")
        for place in spread(len(pieces), self._job.params.samples):
            name, values = pieces[int(place)]
            arrays = {column: values[:, i] for i, column in enumerate(self.columns)}
            write_arrays(self._job.outputs["samples"] / f"{name}.npz", arrays)

    def _frame(self, items: Sequence[Recording]) -> Any:
        values = np.concatenate([item.values for item in items])
        frame = self._tc.SFrame()
        # Numbers in the order of reading: Turi Create gives answers sorted by them.
        numbers = np.repeat(np.arange(len(items)), [len(item.labels) for item in items])
        frame[self.session] = self._tc.SArray(numbers.tolist())
        frame[self.target] = self._tc.SArray([label for item in items for label in item.labels])
        for place, column in enumerate(self.columns):
            frame[column] = self._tc.SArray(values[:, place].tolist())
        return frame

    def _read(self, path: Path) -> Tuple[List[str], List[Recording]]:  # noqa: UP006
        files = sorted(path.rglob("*.ts")) if path.is_dir() else [path]
        if files and all(file.suffix.lower() == ".ts" for file in files):
            found = [item for file in files for item in archive(file)]
            channels = {item.values.shape[1] for item in found}
            if len(channels) != 1:
                raise Problem(f"{path.name}: recordings have {sorted(channels)} dimensions")
            return [f"dim_{c}" for c in range(channels.pop())], found
        return self._table(path)

    def _table(self, path: Path) -> Tuple[List[str], List[Recording]]:  # noqa: UP006
        sheet = sheet_for(path, {"reading": self.reading})
        params = self._job.params
        names = choose(sheet, params.include, params.exclude, [self.target, self.session])
        types = {**dict.fromkeys(names, NUMBER), self.target: CATEGORY, self.session: CATEGORY}
        table = typed(sheet, list(types), types, params.missing_values, params.decimal)
        for name in types:
            empty = np.flatnonzero(table.columns[name].empty)
            if len(empty):
                raise Problem(f"{table.place(int(empty[0]))}: column '{name}' has no value")
        values = np.stack([table.columns[name].values for name in names], axis=1)
        labels, sessions = (table.columns[n].values for n in (self.target, self.session))
        found = []
        for name in dict.fromkeys(sessions.tolist()):
            mine = sessions == name
            found.append(Recording(str(name), values[mine], labels[mine].tolist()))
        return names, found


def archive(file: Path) -> List[Recording]:  # noqa: UP006
    """The recordings of a .ts file.

    Raises:
        Problem: a line is no recording.
    """
    head, mark, data = file.read_text("utf-8").partition("@data")
    if not mark or "@classLabel true" not in head:
        raise Problem(f"{file.name} is no .ts file with labels")
    found = []
    for number, line in enumerate(data.split("\n")[1:], head.count("\n") + 2):
        if not line.strip():
            continue
        *parts, label = line.strip().split(":")
        try:
            columns = [[float(value) for value in part.split(",")] for part in parts]
            values = np.array(columns, dtype=np.float64).T
        except ValueError as error:
            raise Problem(f"{file.name}, line {number}: {error}") from error
        if values.ndim != 2 or not np.isfinite(values).all():
            raise Problem(f"{file.name}, line {number}: dimensions differ in length, or have gaps")
        found.append(Recording(f"{file.stem}-{len(found)}", values, [label] * len(values)))
    if not found:
        raise Problem(f"{file.name} holds no recording")
    return found


def _labels(item: Recording, window: int) -> List[str]:  # noqa: UP006
    """The most frequent label of each window, the shorter last one too."""
    starts = range(0, len(item.labels), window)
    return [Counter(item.labels[s : s + window]).most_common(1)[0][0] for s in starts]
