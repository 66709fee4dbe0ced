"""What is split: files of a folder or rows of a table."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._shared.files.copying import copy_file, files_below
from ..._shared.images.listing import TABLE_NAME, read_table
from ..._shared.problem.problem import Problem


@dataclass(frozen=True)
class Item:
    """One thing that goes to one part."""

    name: str  # relative path, or the row's line
    label: str
    group: str  # items of one group share a part
    file: Path | None
    row: dict[str, str] | None


@dataclass(frozen=True)
class Source:
    """Everything that is split; ``columns`` is set for a table."""

    items: list[Item]
    columns: list[str] | None


def read(path: Path, params: Any) -> Source:
    """The items of a folder or table.

    Raises:
        Problem: nothing there, a file that the table names is missing, a column is.
    """
    table = path / TABLE_NAME if path.is_dir() else path
    if table.is_file():
        return _table(table, params)
    if not path.is_dir():
        raise Problem(f"{path.name} does not exist")
    if params.group_column:
        raise Problem(f"group_column: {path.name} is a folder", hint="use group_pattern")
    items = []
    for file in files_below(path):
        name = file.relative_to(path)
        label = name.parts[0] if len(name.parts) > 1 else ""
        known = _digest(file) if params.identity == "content" else name.as_posix()
        items.append(
            Item(name.as_posix(), label, _group(name.as_posix(), known, params), file, None)
        )
    return Source(items, None)


def write(items: list[Item], columns: list[str] | None, folder: Path) -> None:
    """One part, laid out as the source is."""
    folder.mkdir(parents=True)
    for item in items:
        if item.file is not None:
            copy_file(item.file, folder, item.name)
    if columns is not None and items:
        with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(item.row or {} for item in items)


def _table(file: Path, params: Any) -> Source:
    columns, rows = read_table(file)
    if params.group_column and params.group_column not in columns:
        raise Problem(
            f"table {file.name} has no column '{params.group_column}'",
            hint=f"it has {', '.join(columns)}",
        )
    items = []
    for number, row in enumerate(rows, start=2):
        name = row.get(params.path_column, "").strip()
        target = file.parent / name if name else None
        if target is not None and not target.is_file():
            raise Problem(f"table {file.name}, line {number}: {name} does not exist")
        known = _known(name, target, row, params)
        group = row[params.group_column] if params.group_column else _group(name, known, params)
        label = row.get(params.label_column, "")
        items.append(Item(name or f"line {number}", label, group, target, row))
    return Source(items, columns)


def _known(name: str, target: Path | None, row: dict[str, str], params: Any) -> str:
    if target is None:
        return json.dumps(row, sort_keys=True)
    return _digest(target) if params.identity == "content" else name


def _group(name: str, known: str, params: Any) -> str:
    if not params.group_pattern:
        return known
    match = re.search(params.group_pattern, name)
    if match is None:
        raise Problem(f"{name} does not match group_pattern {params.group_pattern}")
    return match["group"] if "group" in match.re.groupindex else match[0]


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise Problem(f"{file.name} cannot be read: {error.strerror or error}") from error
