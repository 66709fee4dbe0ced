"""A Core ML model asked about rows of a table: one input for each column, or one for all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlbuild.coreml import CoreMLError

from ..description.description import KEY
from ..problem.problem import Problem
from ..tables.table import MISSING
from ..turi.words import count_words

_NUMBERS = ("double", "int64")


class RowSide:
    """The outputs of a Core ML model for the cells of a row.

    Labels are text, and probabilities an array in the order of ``labels``: those of the reference,
    or else the model's own.
    """

    def __init__(self, model: Any, labels: Sequence[str] = ()) -> None:
        self.model = model
        own = [str(label) for label in model.description.class_labels]
        if labels and own and set(labels) != set(own):
            odd = sorted(set(labels) ^ set(own))[0]
            raise Problem(f"the models have different labels, such as '{odd}'")
        self.labels = list(labels) if own and labels else own
        metadata = model.description.metadata.get("user_defined", {})
        described = json.loads(metadata[KEY]) if KEY in metadata else {}
        self._columns = [c["name"] for c in described.get("columns") or ()]
        self._texts = {i["name"] for i in described.get("inputs") or () if i.get("words")}
        reading = described.get("reading") or {}
        self._missing = frozenset(reading.get("missing_values", MISSING))
        self._decimal = reading.get("decimal", ".")

    def ask(self, cells: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Every output, by name.

        Raises:
            Problem: a column is missing, or the model refuses the row.
        """
        try:
            found = self.model.predict(self.given(cells))
        except CoreMLError as error:
            raise Problem(str(error)) from error
        return {name: self._array(value) for name, value in found.items()}

    def given(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A row as the model takes it, by the names of its inputs.

        Raises:
            Problem: a column is missing, or a cell is of another type.
        """
        return {f.name: self._value(f, cells) for f in self.model.description.inputs}

    def _value(self, feature: Any, cells: Mapping[str, Any]) -> Any:
        if feature.name in cells and feature.kind == "dictionary":
            return self._map(feature.name, cells[feature.name])
        if feature.name in cells:
            return self._cell(cells[feature.name], feature.kind)
        if feature.kind == "multi_array":
            names = self._columns or list(cells)
            lacking = [name for name in names if name not in cells]
            if not lacking:
                return np.array([self._cell(cells[name], "double") for name in names])
            raise Problem(f"the table has no column '{lacking[0]}'")
        raise Problem(f"the table has no column '{feature.name}'")

    def _map(self, name: str, cell: Any) -> dict[str, float]:
        """What a dictionary holds: how often words occur in a text, or a map as JSON."""
        if name in self._texts:
            return count_words("" if cell is None else str(cell))
        try:
            return {str(key): float(value) for key, value in json.loads(cell).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise Problem(f"'{cell}' is no map of numbers, which '{name}' needs") from error

    def _array(self, value: Any) -> np.ndarray:
        if isinstance(value, Mapping):
            plain = {str(label): score for label, score in value.items()}
            order = self.labels if set(self.labels) == set(plain) else sorted(plain)
            return np.array([float(plain[label]) for label in order])
        if isinstance(value, str):
            return np.array(value)
        return np.asarray(value)

    def _cell(self, cell: Any, kind: str) -> Any:
        """A value as the model takes it: nothing is NaN, of text the empty text."""
        if cell is None or (isinstance(cell, str) and cell in self._missing):
            return math.nan if kind in _NUMBERS else ""
        if kind not in _NUMBERS:
            return str(cell)
        try:
            number = float(cell.replace(self._decimal, ".") if isinstance(cell, str) else cell)
        except ValueError:
            raise Problem(f"'{cell}' is no number, which the model's input needs") from None
        return int(number) if kind == "int64" else number
