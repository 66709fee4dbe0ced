"""What a user shows to the model: labelled pictures, or rows of a table."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import Item, labelled
from ..._shared.problem.problem import Problem
from ..._shared.tables.sheet import read_sheet
from ..._shared.tables.table import CATEGORY, NUMBER, Table, require, typed
from ..._shared.torch_model.preprocessing import from_json

_TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")


@dataclass(frozen=True)
class Shown:
    """Samples by the names of the model's training inputs; ``truth`` is that of the label."""

    samples: list[dict[str, Any]]
    truth: str


def read(source: Path, model: Any, params: Any, limit: int | None = None) -> Shown:
    """Samples as the model takes them.

    Raises:
        Problem: they do not fit the model.
    """
    given = {f.name for f in model.description.inputs}
    truths = [f for f in model.description.training if f.name not in given]
    inputs = list(model.description.inputs)
    if len(truths) != 1 or len(inputs) != 1:
        names = ", ".join(f.name for f in model.description.training)
        raise Problem(f"the model learns from {names}: one input and its truth are known here")
    source, known = Path(source), inputs[0]
    if source.is_file() and source.name.lower().endswith(_TABLES):
        rows = _rows(source, known, truths[0], params)
    else:
        rows = _pictures(source, model, known, truths[0])
    return Shown(_limited(rows, truths[0].name, limit), truths[0].name)


def _pictures(source: Path, model: Any, known: Any, truth: Any) -> list[dict[str, Any]]:
    if known.image is None:
        raise Problem(
            f"samples: {source.name} holds pictures, the model takes {known.name}: {known}",
            hint="give a table",
        )
    text = model.description.metadata.get("user_defined", {}).get("mlbuild.preprocessing")
    how = from_json(json.loads(text)) if text else None

    def picture(item: Item) -> Any:
        try:
            opened = open_picture(item.path)
        except UnreadableImage as error:
            raise Problem(f"samples: {item.name} cannot be read: {error}") from error
        return how.fit(opened) if how else model.load_image(item.path)

    whole = truth.kind == "int64"
    return [
        {known.name: picture(item), truth.name: int(item.label) if whole else item.label}
        for item in labelled(source)
    ]


def _rows(source: Path, known: Any, truth: Any, params: Any) -> list[dict[str, Any]]:
    sheet = read_sheet(source)
    target = params.target or truth.name
    require(sheet, target)
    names = params.columns or [name for name in sheet.columns if name != target]
    label = CATEGORY if truth.kind == "string" else NUMBER
    table = typed(sheet, [*names, target], {**dict.fromkeys(names, NUMBER), target: label})
    values = np.stack([table.columns[name].values for name in names], axis=1)
    return [
        {known.name: row.astype(np.float32), truth.name: _truth(table, target, place, truth)}
        for place, row in enumerate(values)
    ]


def _truth(table: Table, target: str, place: int, truth: Any) -> Any:
    value = table.columns[target].values[place]
    if value is None or value != value:
        raise Problem(f"{table.place(place)}: column '{target}' is empty")
    if truth.kind == "string":
        return value
    return int(value) if truth.kind == "int64" else np.array([value], dtype=np.float32)


def _limited(rows: list[dict[str, Any]], truth: str, limit: int | None) -> list[dict[str, Any]]:
    """The first of each label, then the second of each, until there are enough."""
    if limit is None or limit >= len(rows):
        return rows
    seen: dict[str, int] = defaultdict(int)
    order = []
    for place, row in enumerate(rows):
        label = str(row[truth])
        order.append((seen[label], place))
        seen[label] += 1
    return [rows[place] for _, place in sorted(order)[:limit]]
