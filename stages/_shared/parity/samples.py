"""The samples that models are compared on: pictures, or arrays in ``.npz`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..images.decoding import SUFFIXES, UnreadableImage, open_picture
from ..images.listing import pictures_below
from ..problem.problem import Problem
from ..tables.sheet import Layout, Refused, Sheet, read_sheet

_SHOWN = 5  # names in a message
TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz", ".data", ".pq")


@dataclass(frozen=True)
class Sample:
    """One file; ``name`` is its path below the folder of samples."""

    name: str
    path: Path
    values: dict[str, Any] | None = None  # of one row of a table: by column

    @property
    def is_picture(self) -> bool:
        return self.path.suffix.lower() in SUFFIXES


def find(
    source: Path, limit: int | None = None, reading: dict[str, Any] | None = None
) -> list[Sample]:
    """All samples in a folder, or the one file, by name; of a table each row.

    Args:
        source: a file or folder; hidden files are left out.
        limit: at most so many, evenly spread over the sorted names.
        reading: how a table is laid out, where it is not the usual way.

    Raises:
        Problem: there are none.
    """
    if not source.exists():
        raise Problem(f"samples: {source.name} does not exist")
    if source.is_file() and source.name.lower().endswith(TABLES):
        return spread(_rows(source, reading), limit)
    found = sorted(_below(source), key=lambda sample: sample.name)
    tables = [p for p in source.glob("[!.]*") if p.name.lower().endswith(TABLES)]
    if not found and len(tables) == 1:  # a part of a table, as data/split leaves it
        return spread(_rows(tables[0], reading), limit)
    if not found:
        raise Problem(
            f"samples: {source.name} holds neither pictures nor .npz files",
            hint="give a folder of pictures, .npz files with an array for each input, or a table",
        )
    return spread(found, limit)


def _rows(source: Path, reading: dict[str, Any] | None) -> list[Sample]:
    layout = (
        Layout(reading["header"], reading["skip"], reading["delimiter"]) if reading else Layout()
    )
    sheet = read_sheet(source, layout)
    used = {n: c for n, c in sheet.columns.items() if not isinstance(c, Refused)}
    return [
        Sample(row_name(sheet, row), source, {name: cells[row] for name, cells in used.items()})
        for row in range(len(sheet.numbers))
    ]


def row_name(sheet: Sheet, row: int) -> str:
    """``line 7``: what a row is called as a sample."""
    return f"{sheet.unit} {int(sheet.numbers[row])}"


def spread(found: Sequence[Any], limit: int | None) -> list[Any]:
    """At most ``limit`` of them, evenly spread."""
    if limit is None or limit >= len(found):
        return list(found)
    return [found[place] for place in np.linspace(0, len(found) - 1, limit).round().astype(int)]


def _below(source: Path) -> Iterator[Sample]:
    if source.is_file():
        if source.suffix.lower() in {*SUFFIXES, ".npz"}:
            yield Sample(source.name, source)
        return
    arrays = (p for p in source.rglob("*.npz") if not p.name.startswith("."))
    for file in (*pictures_below(source), *arrays):
        yield Sample(file.relative_to(source).as_posix(), file)


@dataclass
class Reader:
    """Reads samples; those that cannot be read are fatal or listed, as the user wants."""

    skip: bool
    unreadable: list[str] = field(default_factory=list)

    def read(self, sample: Sample) -> Any:
        """A picture, upright; arrays by name; None for one that is skipped.

        Raises:
            Problem: the file cannot be read and ``skip`` is off.
        """
        if sample.values is not None:
            return dict(sample.values)
        try:
            return open_picture(sample.path) if sample.is_picture else _arrays(sample.path)
        except (UnreadableImage, OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            what = "picture" if sample.is_picture else "array file"
            if not self.skip:
                raise Problem(
                    f"{sample.name} is no readable {what}: {error}",
                    hint="repair or remove it, or set `unreadable: skip`",
                ) from error
            self.unreadable.append(sample.name)
            return None

    def report(self, job: Any, total: int) -> None:
        """Tell what was left out.

        Raises:
            Problem: nothing is left.
        """
        if not self.unreadable:
            return
        names = ", ".join(self.unreadable[:_SHOWN])
        more = ", ..." if len(self.unreadable) > _SHOWN else ""
        if len(self.unreadable) == total:
            raise Problem(f"none of {total} samples can be read: {names}{more}")
        job.log(f"left out, because they cannot be read: {names}{more}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in sorted(data.files)}
