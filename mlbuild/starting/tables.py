"""What the first rows of a CSV tell: columns, gaps, and which of them is to be told."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlbuild.errors import Problem, UsageError, did_you_mean
from mlbuild.starting.filling import listed, quoted
from mlbuild.starting.found import FEW, Form, Found

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".parquet")
ROWS = 2000  # that are looked at
_TARGETS = ("target", "label", "class", "category", "species", "outcome", "y", "sentiment")
_TEXTS = ("text", "message", "review", "sentence", "body", "content", "comment")
_SESSIONS = ("session", "recording", "trial", "session_id", "recording_id")
_MANY = 20  # different numbers, from which on a target is a quantity
_WORDS = 3  # in the mean, from which on a column is text to be read


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows; a file without a header line gets names of ours."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    headless: bool

    def cells(self, column: str) -> list[str]:
        """The column's values that are there."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows if row[place]]


def look_at_table(path: Path, target: str | None = None) -> Found:
    """A table of recordings, of texts, of pixels, or of columns of which one is to be told.

    Raises:
        UsageError: it cannot be read, or has no such column.
    """
    if path.suffix.lower() == ".parquet":
        return _parquet(path, target)
    look = read(path)
    _check(look, target)
    if side := _pixels(look):
        told = f"{len(look.columns)} columns, {side * side} of them numbers from 0 to 255"
        label = _pixel_label(look, side)
        return Found(path, Form.PIXELS, told, {"grey": True, "side": str(side), "label": label})
    chosen = target or _target(look)
    session = next((c for c in look.columns if c.lower() in _SESSIONS), None)
    text = _text_column(look, chosen)
    facts = {**_columns(look, chosen), "text": quoted(text or ""), "session": quoted(session or "")}
    told = f"{len(look.columns)} columns"
    if session and session != chosen:
        told += f", '{session}' says of which recording a row is"
        facts["window"] = str(_window(look, session))
        return Found(path, Form.SESSION_TABLE, told, facts, {"target": look.columns})
    if text:
        told += f", '{text}' holds texts of several words"
        facts["epochs"] = epochs_for(len(look.rows))
        return Found(path, Form.TEXT_TABLE, told, facts, {"target": look.columns})
    return Found(path, Form.TABLE, told, facts, {"target": look.columns})


def epochs_for(texts: int) -> str:
    """Few texts must be seen more often, for as many steps."""
    return "6" if texts > 1000 else "40"


def read(path: Path) -> Look:
    """The first rows of a text file.

    Raises:
        UsageError: it is no table.
    """
    try:
        with _opened(path)(path, "rt", encoding="utf-8-sig", newline="") as file:
            start = "".join(itertools.islice(file, ROWS))
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise UsageError(Problem(f"{path} cannot be read as a table", got=str(error))) from error
    first = start.split("\n", 1)[0]
    delimiter = "\t" if ".tsv" in path.name.lower() else max(",;\t|", key=first.count)
    rows = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        whole = [tuple(cell.strip() for cell in row) for row in rows if any(row)]
    except csv.Error as error:
        raise UsageError(Problem(f"{path} is no table", got=str(error))) from error
    width = len(whole[0]) if whole else 0
    whole = [row for row in whole if len(row) == width]  # the last one may be cut
    if width < 2 or len(whole) < 2:
        got = f"{len(whole)} rows of {width} columns"
        raise UsageError(Problem(f"{path} is no table", got=got))
    if all(_number(cell) is not None for cell in whole[0]):
        names = tuple(f"c{place}" for place in range(1, width + 1))
        return Look(path, names, tuple(whole), headless=True)
    return Look(path, whole[0], tuple(whole[1:]), headless=False)


def _opened(path: Path) -> Callable[..., IO[str]]:
    return {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix.lower(), open)  # type: ignore[return-value]


def _check(look: Look, target: str | None) -> None:
    if target is not None and target not in look.columns:
        problem = Problem(
            f"{look.path} has no column '{target}'",
            allowed=look.columns,
            hint=did_you_mean(target, look.columns),
        )
        raise UsageError(problem)


def _columns(look: Look, target: str) -> dict[str, str | bool]:
    """What a stage that learns from columns must be told."""
    numbers = _numbers(look, target)
    whole = all(number.is_integer() for number in numbers or [0.5])
    regression = numbers is not None and (len(set(numbers)) > _MANY or not whole)
    left_out = [c for c in look.columns if c != target and _names_rows(look, c)]
    gaps = any(not cell for row in look.rows for cell in row)
    labels = len(set(look.cells(target)))
    return {
        "target": quoted(target),
        "regression": regression,
        "classification": not regression,
        "exclude": listed(left_out) if left_out else "",
        "excluded": ", ".join(left_out),
        "gaps": gaps,
        "few": len(look.rows) < FEW,
        "header": listed(list(look.columns)) if look.headless else "",
        "guess": f"{1 / max(labels, 2):.2g}",
    }


def _names_rows(look: Look, column: str) -> bool:
    """Whether a column names rows, or is text that differs in almost all of them."""
    cells = look.cells(column)
    different = len(set(cells))
    if column.lower() in ("id", "index", "name", "uuid", "") or column.lower().endswith("_id"):
        return different == len(cells)
    return different > 100 and any(_number(cell) is None for cell in cells)


def _target(look: Look) -> str:
    named = {column.lower(): column for column in look.columns}
    return next((named[name] for name in _TARGETS if name in named), look.columns[-1])


def _text_column(look: Look, target: str) -> str | None:
    found = [c for c in look.columns if c != target and _words(look, c) >= _WORDS]
    known = [c for c in found if c.lower() in _TEXTS]
    best = known or sorted(found, key=lambda c: -_words(look, c))
    return best[0] if best else None


def _words(look: Look, column: str) -> float:
    cells = look.cells(column)
    if not cells or len(set(cells)) < len(cells) / 2:
        return 0
    return sum(len(cell.split()) for cell in cells) / len(cells)


def _window(look: Look, session: str) -> int:
    """Half of the median recording, if that is less than the usual hundred moments."""
    lengths = sorted(len(list(rows)) for _, rows in itertools.groupby(look.cells(session)))
    return max(4, min(lengths[len(lengths) // 2] // 2, 100))


def _pixels(look: Look) -> int | None:
    """The side of the square that a row's numbers fill, if they look like pixels."""
    side = math.isqrt(len(look.columns) - 1)
    if side < 8 or side * side != len(look.columns) - 1:
        return None
    cells = [_number(cell) for row in look.rows[:20] for cell in row[1:-1]]
    return side if all(cell is not None and 0 <= cell <= 255 for cell in cells) else None


def _pixel_label(look: Look, side: int) -> str:
    """Classes are few; the pixels of a corner are too, but first means first only by its name."""
    return "first" if look.columns[0].lower() in _TARGETS else "last"


def _numbers(look: Look, column: str) -> list[float] | None:
    found = [_number(cell) for cell in look.cells(column)]
    return None if None in found or not found else [n for n in found if n is not None]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _parquet(path: Path, target: str | None) -> Found:
    if target is None:
        hint = "name the column that is to be told: --target-column"
        raise UsageError(Problem(f"{path}: columns of Parquet files are not looked at", hint=hint))
    facts: dict[str, str | bool] = {
        "target": quoted(target),
        "regression": False,
        "classification": True,
        "exclude": "",
        "excluded": "",
        "gaps": True,
        "header": "",
        "guess": "0.5",
    }
    return Found(path, Form.TABLE, "a Parquet file", facts)


def columns_of(found: Found) -> Sequence[str]:
    """The columns that may be told; none where they are not known."""
    return found.options.get("target", ())
