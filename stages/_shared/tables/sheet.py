"""What the file of a table holds before columns have types: text of CSV, values of Parquet."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .words import shown

TABLE_NAME = "labels.csv"  # of a folder that data/split wrote
_ENDINGS = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".txt.gz", ".data.gz")
_PARQUET = (".parquet", ".pq")
_GUESSED = (",", ";", "\t", "|")
_SPOKEN = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True)
class Sheet:
    """Columns as the file has them.

    A column is a list of text (None: null, of Parquet) or an array of float64 (NaN: null).
    """

    name: str  # of the file, for messages
    columns: Mapping[str, Any]
    whole: frozenset[str]  # columns of numbers that were integers in the file
    numbers: np.ndarray  # the line, or of Parquet the row, that each row stands on
    unit: str  # "line" or "row"

    def place(self, row: int) -> str:
        """Where a row stands: ``iris.csv, line 7``."""
        return f"{self.name}, {self.unit} {int(self.numbers[row])}"


@dataclass(frozen=True)
class Layout:
    """How a text file is to be read."""

    header: Sequence[str] | None = None  # names, of a file without a header line
    skip: int = 0  # lines before the header or, without one, before the first row
    delimiter: str = "auto"


def find(path: Path) -> Path:
    """The file of a table: the path itself, or the only table of a folder.

    Raises:
        Problem: nothing is there, or it does not say which.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise Problem(f"{path.name} does not exist")
    if (path / TABLE_NAME).is_file():
        return path / TABLE_NAME
    found = sorted(p for p in path.iterdir() if p.is_file() and _is_table(p))
    if len(found) != 1:
        what = shown(p.name for p in found) or "nothing"
        raise Problem(f"{path.name} must hold exactly one table (CSV, TSV, Parquet), found: {what}")
    return found[0]


def read_sheet(path: Path, layout: Layout = Layout()) -> Sheet:
    """The whole file.

    Raises:
        Problem: no table, or rows that do not fit its columns.
    """
    file = find(path)
    if file.suffix.lower() in _PARQUET:
        return _parquet(file)
    rows = _filled(file, layout)
    if layout.header is None:
        if not rows:
            raise Problem(f"{file.name} has no header line behind the {layout.skip} skipped lines")
        number, names = rows.pop(0)
        names = _named(file, number, names)
    else:
        names = list(layout.header)
    if not rows:
        raise Problem(f"{file.name} has a header line, but no rows")
    for number, row in rows:
        if len(row) != len(names):
            raise Problem(
                f"{file.name}, line {number}: {len(row)} values, but there are {len(names)} "
                f"columns: {shown(names)}",
                hint="a value that holds the delimiter stands in quotes; "
                "`delimiter`, `skip` and `header` say how the file is laid out",
            )
    columns = {name: [row[i] for _, row in rows] for i, name in enumerate(names)}
    return Sheet(file.name, columns, frozenset(), np.array([n for n, _ in rows]), "line")


def width(path: Path, layout: Layout) -> int:
    """How many columns a file has, by its first row."""
    file = find(path)
    if file.suffix.lower() in _PARQUET:
        return len(_parquet(file).columns)
    rows = _filled(file, layout)
    return len(rows[0][1]) if rows else 0


def _filled(file: Path, layout: Layout) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, with their lines."""
    lines = _lines(file)
    if not any(line.strip() for line in lines):
        raise Problem(f"{file.name} is empty")
    return [(number, row) for number, row in _rows(file, lines, layout) if any(row)]


def _is_table(path: Path) -> bool:
    name = path.name.lower()
    return not name.startswith(".") and name.endswith((*_ENDINGS, *_PARQUET))


def _lines(file: Path) -> list[str]:
    try:
        data = _unpacked(file.read_bytes())
        # Not splitlines: to it, a form feed or a line separator inside of a text ends a row.
        return list(io.StringIO(data.decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise Problem(
            f"{file.name} is not UTF-8 text: {error.reason} at byte {error.start}",
            hint="save it as UTF-8, or as Parquet",
        ) from error
    except (OSError, EOFError, ValueError) as error:
        raise Problem(f"{file.name} cannot be read: {error}") from error


def _unpacked(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    return bz2.decompress(data) if data[:3] == b"BZh" else data


def _rows(file: Path, lines: list[str], layout: Layout) -> Iterator[tuple[int, list[str]]]:
    kept = lines[layout.skip :]
    delimiter = _SPOKEN.get(layout.delimiter, layout.delimiter)
    if delimiter == "space":
        for number, line in enumerate(kept, start=layout.skip + 1):
            yield number, line.split()
        return
    if delimiter == "auto":
        delimiter = _guess(file, next((line for line in kept if line.strip()), ""))
    reader = csv.reader(kept, delimiter=delimiter, skipinitialspace=True)
    start = 0
    try:
        for row in reader:
            # A quoted value may run over several lines: the row stands on the first of them.
            yield layout.skip + start + 1, [cell.strip() for cell in row]
            start = reader.line_num
    except csv.Error as error:
        raise Problem(f"{file.name}, line {layout.skip + reader.line_num}: {error}") from error


def _guess(file: Path, line: str) -> str:
    if file.name.lower().endswith((".tsv", ".tsv.gz")):
        return "\t"
    return max(_GUESSED, key=line.count)  # the first of equals


def _named(file: Path, number: int, names: list[str]) -> list[str]:
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name:
            # pandas writes its index so; a name is needed to choose columns by.
            raise Problem(
                f"{file.name}, line {number}: column {position} has no name",
                hint="name it in the file, or say `header: [...]` and `skip: 1`",
            )
        if name in seen:
            raise Problem(f"{file.name}, line {number}: two columns are called '{name}'")
        seen.add(name)
    if all(_is_number(name) for name in names):
        raise Problem(
            f"{file.name}, line {number}: the header line holds numbers alone: {shown(names)}",
            hint="a file without a header line needs `header: [names of all columns]`",
        )
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parquet(file: Path) -> Sheet:
    try:
        import pyarrow  # heavy, and not in every toolchain
        import pyarrow.parquet
    except ImportError as error:
        raise Problem(f"{file.name}: this toolchain has no pyarrow to read Parquet with") from error
    try:
        data = pyarrow.parquet.read_table(file)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise Problem(f"{file.name} is no Parquet file: {error}") from error
    if not data.num_rows:
        raise Problem(f"{file.name} has no rows")
    columns, whole = {}, set()
    for name, column in zip(data.column_names, data.columns):  # noqa: B905 - 3.8 too
        kind = column.type
        if pyarrow.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        if pyarrow.types.is_integer(kind) or pyarrow.types.is_boolean(kind):
            whole.add(name)
        columns[name] = _arrow_values(file, name, column, kind)
    rows = np.arange(1, data.num_rows + 1)
    return Sheet(file.name, columns, frozenset(whole), rows, "row")


def _arrow_values(file: Path, name: str, column: Any, kind: Any) -> Any:
    import pyarrow  # as above

    types = pyarrow.types
    if types.is_string(kind) or types.is_large_string(kind):
        return column.to_pylist()
    if types.is_null(kind):
        return [None] * len(column)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return column.cast(pyarrow.float64()).to_numpy().astype(np.float64)
    if types.is_decimal(kind):
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
    # Refused when somebody wants the column, not because it is there.
    return Refused(f"column '{name}' of {file.name} is of type {kind}")


@dataclass(frozen=True)
class Refused:
    """A column that can be left out, but not be used."""

    why: str
