"""Labelled files: a folder for each class, or a table with a path and a label."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from ..problem.problem import Problem
from .decoding import SUFFIXES

TABLE_NAME = "labels.csv"  # a folder that holds this is a table with its files beside it


@dataclass(frozen=True, order=True)
class Item:
    """One labelled file; ``name`` is its path relative to the folder or table, with '/'."""

    name: str
    label: str
    path: Path


def labelled(source: Path, path_column: str = "path", label_column: str = "label") -> list[Item]:
    """All labelled pictures, ordered by label and name.

    Raises:
        Problem: the source is missing, empty, or has no labels.
    """
    source = Path(source)
    if source.is_dir():
        table = source / TABLE_NAME
        items = (
            _of_table(table, path_column, label_column) if table.is_file() else _of_folder(source)
        )
    elif source.is_file():
        items = _of_table(source, path_column, label_column)
    else:
        raise Problem(f"{source.name} does not exist")
    return sorted(items, key=lambda item: (item.label, item.name))


def pictures_below(folder: Path) -> list[Path]:
    """All files that look like pictures, sorted; hidden ones are left out.

    Raises:
        Problem: a folder cannot be read.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        name = Path(str(error.filename)).name
        raise Problem(f"folder {name} cannot be read: {error.strerror}") from error

    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES:
                found.append(Path(where) / file)
    return found


def _of_folder(folder: Path) -> list[Item]:
    items = []
    flat = 0
    for path in pictures_below(folder):
        name = path.relative_to(folder)
        if len(name.parts) == 1:
            flat += 1
            continue
        items.append(Item(name.as_posix(), name.parts[0], path))
    if not items and flat:
        raise Problem(
            f"{folder.name} holds {flat} pictures but no folder for each class",
            hint="put each class into a folder of its own, data/sort does it by file name",
        )
    if not items:
        raise Problem(
            f"{folder.name} holds no pictures", hint="a folder for each class is expected"
        )
    return items


def read_table(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV or TSV file with a header line.

    Raises:
        Problem: it is empty, not text, or a row has too many cells.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            tabbed = "\t" in head and "," not in head
            reader = csv.DictReader(stream, delimiter="\t" if tabbed else ",")
            columns, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"table {file.name} cannot be read: {error}") from error
    if not columns or not rows:
        raise Problem(f"table {file.name} is empty: a header line and rows are expected")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise Problem(f"table {file.name}, line {number}: not {len(columns)} cells")
    return columns, rows


def _of_table(file: Path, path_column: str, label_column: str) -> list[Item]:
    columns, rows = read_table(file)
    for column in (path_column, label_column):
        if column not in columns:
            raise Problem(
                f"table {file.name} has no column '{column}'", hint=f"it has {', '.join(columns)}"
            )
    items = []
    for number, row in enumerate(rows, start=2):
        name, label = row[path_column].strip(), row[label_column].strip()
        if not name or not label:
            raise Problem(f"table {file.name}, line {number}: path or label is empty")
        items.append(Item(name, label, file.parent / name))
    return items
