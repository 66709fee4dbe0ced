"""Labelled texts: a column of a table, or files in folders named by label."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._shared.problem.problem import Problem
from ..._shared.tables.sheet import Refused, read_sheet
from ..._shared.tables.table import require

_SHOWN = 5


@dataclass(frozen=True)
class Text:
    """One example."""

    name: str
    label: str
    text: str


def load(source: Path, params: Any, role: str) -> list[Text]:
    """All texts whose label is wanted, those that are empty left out.

    Raises:
        Problem: nothing is left, or a file cannot be read.
    """
    found = _rows(source, params) if source.is_file() else _files(source, params)
    kept = []
    for text in found:
        label = _label(text.label, params.labels)
        if label is not None and text.text.strip():
            kept.append(Text(text.name, label, text.text))
    if not kept:
        there = sorted({text.label for text in found})
        told = ", ".join(there[:_SHOWN]) + (", ..." if len(there) > _SHOWN else "")
        raise Problem(
            f"{role}: {source.name} holds no texts" + (f" of the labels {told}" if there else ""),
            hint="give a table with a column of texts, or a folder of files for each label",
        )
    return kept


def _label(name: str, wanted: dict[str, list[str]]) -> str | None:
    if not wanted:
        return name
    for label, patterns in wanted.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return label
    return None


def _rows(source: Path, params: Any) -> list[Text]:
    sheet = read_sheet(source)
    for column in (params.text_column, params.label_column):
        require(sheet, column)
    texts, labels = sheet.columns[params.text_column], sheet.columns[params.label_column]
    for name, cells in ((params.text_column, texts), (params.label_column, labels)):
        if isinstance(cells, Refused):
            raise Problem(cells.why)
        if not isinstance(cells, list):
            raise Problem(f"column '{name}' of {sheet.name} holds numbers, not texts")
    return [
        Text(sheet.place(row), label or "", text or "")
        for row, (label, text) in enumerate(zip(labels, texts, strict=True))
    ]


def _files(source: Path, params: Any) -> list[Text]:
    found = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        inside = path.relative_to(source)
        if len(inside.parts) < 2 or any(part.startswith(".") for part in inside.parts):
            continue
        if not fnmatch.fnmatchcase(path.name, params.files):
            continue
        if _label(inside.parts[0], params.labels) is None:
            continue
        # E-mails come in any encoding: what is no UTF-8 is no reason to stop.
        text = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".json":
            text = _member(text, inside.as_posix(), params.text_column)
        found.append(Text(inside.as_posix(), inside.parts[0], text))
    return found


def _member(text: str, name: str, key: str) -> str:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Problem(f"{name} is no JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get(key), str):
        raise Problem(f"{name} has no text '{key}'", hint="say which it is: text_column: ...")
    return data[key]
