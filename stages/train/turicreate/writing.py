"""Samples for validation, as models take them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_rows(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A CSV file; numbers so that they come back exactly, dictionaries as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*[[_cell(value) for value in column] for column in columns.values()]))  # noqa: B905
    path.write_text(text.getvalue(), encoding="utf-8")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An .npz file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: arrays[name] for name in sorted(arrays)})


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return repr(float(value)) if isinstance(value, float) else str(value)
