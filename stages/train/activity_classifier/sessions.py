"""Recordings of sensors: tables, folders of tables, ``.npz`` and ``.ts`` files become sessions.

Source: the .ts format of the UEA and UCR archives (timeseriesclassification.com), equal lengths or
not, one value behind another, dimensions parted by colons, the label last.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.tables.sheet import Sheet, read_sheet
from ..._shared.tables.table import CATEGORY, NUMBER, require, typed

_TABLES = (".csv", ".tsv", ".txt", ".parquet")


@dataclass(frozen=True)
class Session:
    """One recording: each moment has a value of each column and a label."""

    name: str
    values: np.ndarray  # float32 [T, C]
    labels: list[str]  # T of them


@dataclass(frozen=True)
class Sessions:
    """All recordings of an input, with the same columns."""

    columns: tuple[str, ...]
    items: list[Session]


def load(source: Path, params: Any, columns: tuple[str, ...] | None = None) -> Sessions:
    """Read an input.

    Args:
        source: a file, or a folder of them; of a table without a label column, the folder's name
            is the label.
        params: names of columns.
        columns: those that were learnt; None: as the parameters say, else all that hold numbers.

    Raises:
        Problem: a format, a column or a value is not what it should be.
    """
    wanted = columns or (tuple(params.columns) if params.columns else None)
    found: list[Session] = []
    for name, file in _files(source):
        read = {".npz": _arrays, ".ts": _archive}.get(file.suffix.lower(), _table)
        for session, names in read(name, file, params, wanted):
            if wanted is None:
                wanted = names
            if names != wanted:
                raise Problem(
                    f"{name} has the columns {', '.join(names)}, others have {', '.join(wanted)}",
                    hint="say which are meant: columns: [...]",
                )
            found.append(session)
    if not found or wanted is None:
        raise Problem(
            f"{source.name} holds no recordings",
            hint="give CSV or TSV tables, .npz or .ts files",
        )
    return Sessions(wanted, found)


def _files(source: Path) -> list[tuple[str, Path]]:
    if source.is_file():
        return [(source.name, source)]
    kinds = (*_TABLES, ".npz", ".ts")
    files = (p for p in source.rglob("*") if p.is_file() and p.suffix.lower() in kinds)
    named = [(p.relative_to(source).as_posix(), p) for p in files]
    return sorted((name, p) for name, p in named if not p.name.startswith("."))


_Read = Iterator[tuple[Session, tuple[str, ...]]]


def _table(name: str, file: Path, params: Any, wanted: tuple[str, ...] | None) -> _Read:
    sheet = read_sheet(file)
    special = {params.label_column, params.session_column}
    columns = wanted or _numeric(sheet, special)
    values = _values(sheet, columns)
    labels = _words(sheet, params.label_column)
    if labels is None:
        if "/" not in name:
            require(sheet, params.label_column)
        labels = [file.parent.name] * len(values)
    whose = _words(sheet, params.session_column)
    owners = [name if whose is None else f"{name}:{w}" for w in whose or labels]
    for owner in dict.fromkeys(owners):
        rows = [row for row, one in enumerate(owners) if one == owner]
        yield Session(owner, values[rows], [labels[row] for row in rows]), columns


def _numeric(sheet: Sheet, special: set[str]) -> tuple[str, ...]:
    others = [name for name in sheet.columns if name not in special]
    table = typed(sheet, others, {})
    columns = tuple(name for name in others if table.columns[name].type == NUMBER)
    if not columns:
        raise Problem(f"{sheet.name} has no column of numbers")
    return columns


def _values(sheet: Sheet, columns: tuple[str, ...]) -> np.ndarray:
    table = typed(sheet, columns, dict.fromkeys(columns, NUMBER))
    values = np.stack([table.columns[name].values for name in columns], axis=1)
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        row, column = missing[0]
        raise Problem(
            f"{sheet.place(int(row))}: column '{columns[column]}' has no value",
            hint="fill gaps before training: a sensor's last value usually holds",
        )
    return values.astype(np.float32)


def _words(sheet: Sheet, name: str) -> list[str] | None:
    if name not in sheet.columns:
        return None
    values = typed(sheet, [name], {name: CATEGORY}).columns[name].values
    for row, value in enumerate(values):
        if value is None:
            raise Problem(f"{sheet.place(row)}: column '{name}' has no value")
    return [str(value) for value in values]


def _arrays(name: str, file: Path, params: Any, wanted: tuple[str, ...] | None) -> _Read:
    try:
        with np.load(file, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Problem(f"{name} is no readable .npz file: {error}") from error
    lacking = [key for key in ("values", "labels") if key not in arrays]
    if lacking:
        raise Problem(
            f"{name} has no array '{lacking[0]}'",
            hint="values: [sessions, moments, columns]; labels: one for each session",
        )
    values = np.asarray(arrays["values"], dtype=np.float32)
    if values.ndim != 3 or len(arrays["labels"]) != len(values):
        raise Problem(
            f"{name}: values has shape {list(values.shape)} for {len(arrays['labels'])} labels, "
            "needed are [sessions, moments, columns] and a label for each session"
        )
    columns = tuple(str(c) for c in arrays.get("columns", ())) or _numbered(values.shape[2])
    yield from _chosen(name, columns, list(values), [str(v) for v in arrays["labels"]], wanted)


def _archive(name: str, file: Path, params: Any, wanted: tuple[str, ...] | None) -> _Read:
    values, labels = [], []
    data = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if line.lower() == "@data":
            data = True
        elif data and line and not line.startswith("#"):
            *channels, label = line.split(":")
            try:
                rows = [[float(v) for v in channel.split(",")] for channel in channels]
                values.append(np.array(rows, dtype=np.float32).T)
            except ValueError as error:
                raise Problem(f"{name}, line {number}: {error}") from error
            labels.append(label)
    if not values:
        raise Problem(f"{name} holds no recordings behind @data")
    yield from _chosen(name, _numbered(values[0].shape[1]), values, labels, wanted)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"channel_{place}" for place in range(count))


def _chosen(
    name: str,
    columns: tuple[str, ...],
    values: list[np.ndarray],
    labels: list[str],
    wanted: tuple[str, ...] | None,
) -> _Read:
    for column in wanted or ():
        if column not in columns:
            raise Problem(f"{name} has no column '{column}', it has: {', '.join(columns)}")
    places = [columns.index(column) for column in wanted or columns]
    for number, (one, label) in enumerate(zip(values, labels, strict=True)):
        if one.shape[1] != len(columns) or not np.isfinite(one).all():
            raise Problem(f"{name}: recording {number} has gaps, or other columns than the first")
        session = Session(f"{name}:{number}", one[:, places], [label] * len(one))
        yield session, wanted or columns


def feature_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of inputs for columns: letters, digits and underscores.

    Raises:
        Problem: two columns would get the same name.
    """
    names = [re.sub(r"\W", "_", column, flags=re.ASCII) for column in columns]
    names = [f"_{name}" if name[:1].isdigit() else name for name in names]
    for place, name in enumerate(names):
        if name in names[:place]:
            first = columns[names.index(name)]
            raise Problem(f"the columns '{first}' and '{columns[place]}' would both be '{name}'")
    return tuple(names)
