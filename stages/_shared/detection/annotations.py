"""Annotated pictures: Create ML's JSON, COCO's JSON, or a table with a row for each box.

Every format becomes the same: for each picture its boxes, x and y of the middle, width and height,
in pixels of the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..images.listing import pictures_below, read_table
from ..problem.problem import Problem

JSON_NAMES = ("annotations.json", "_annotations.createml.json")
TABLE_NAMES = ("annotations.csv", "annotations.tsv", "labels.csv")
_IMAGE_KEYS = ("image", "imagefilename", "path")
_CENTRE, _CORNERS = ("x", "y", "width", "height"), ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Box:
    """One object."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass
class Annotated:
    """One picture with its objects."""

    name: str
    path: Path
    boxes: list[Box] = field(default_factory=list)


def annotated(images: Path, annotations: Path | None) -> list[Annotated]:
    """All annotated pictures, by name.

    Args:
        images: a folder of pictures; it holds the annotations unless they are given.
        annotations: a JSON file or a table.

    Raises:
        Problem: there are none, or a row or entry cannot be understood.
    """
    file = annotations or _inside(images)
    base = images if images.is_dir() else images.parent
    found = _of_json(file, base) if file.suffix.lower() == ".json" else _of_table(file, base)
    if not any(item.boxes for item in found.values()):
        raise Problem(f"{file.name} names no box")
    return [found[name] for name in sorted(found)]


def _inside(images: Path) -> Path:
    if images.is_file():
        return images
    for name in (*JSON_NAMES, *TABLE_NAMES):
        if (images / name).is_file():
            return images / name
    count = len(pictures_below(images)) if images.is_dir() else 0
    raise Problem(
        f"{images.name} holds {count} pictures and no annotations",
        hint=f"put {JSON_NAMES[0]} or {TABLE_NAMES[0]} into it, or give the input 'annotations'",
    )


def _of_json(file: Path, base: Path) -> dict[str, Annotated]:
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise Problem(f"{file.name} cannot be read: {error}") from error
    if isinstance(data, dict) and {"images", "annotations", "categories"} <= set(data):
        return _of_coco(data, file, base)
    if not isinstance(data, list):
        raise Problem(f"{file.name}: neither Create ML's list of pictures nor COCO's object")
    found: dict[str, Annotated] = {}
    for number, entry in enumerate(data):
        where = f"{file.name}, entry {number}"
        name = next((entry[k] for k in _IMAGE_KEYS if k in entry), None) if _is(entry) else None
        if not isinstance(name, str):
            raise Problem(f"{where}: no key 'image' with the picture's name")
        item = found.setdefault(name, Annotated(name, base / name))
        for given in entry.get("annotations", entry.get("annotation", [])):
            values = given.get("coordinates") if _is(given) else None
            if not _is(values) or "label" not in given:
                raise Problem(f"{where}: an annotation needs label and coordinates")
            numbers = [_number(values, key, where) for key in _CENTRE]
            item.boxes.append(_box(str(given["label"]), numbers, where))
    return found


def _of_coco(data: dict[str, Any], file: Path, base: Path) -> dict[str, Annotated]:
    labels = {c["id"]: str(c["name"]) for c in data["categories"]}
    names = {i["id"]: str(i["file_name"]) for i in data["images"]}
    found = {name: Annotated(name, base / name) for name in names.values()}
    for number, given in enumerate(data["annotations"]):
        where = f"{file.name}, annotation {number}"
        try:
            name, label = names[given["image_id"]], labels[given["category_id"]]
            left, top, width, height = (float(v) for v in given["bbox"])
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(f"{where}: image_id, category_id or bbox is wrong: {error}") from error
        centre = [left + width / 2, top + height / 2, width, height]
        found[name].boxes.append(_box(label, centre, where))
    return found


def _of_table(file: Path, base: Path) -> dict[str, Annotated]:
    columns, rows = read_table(file)
    known = {name.lower().replace("_", ""): name for name in columns}
    keys = _CENTRE if set(_CENTRE) <= set(known) else _CORNERS
    path = next((known[k] for k in (*_IMAGE_KEYS, "name", "file") if k in known), None)
    missing = [k for k in (*keys, "label") if k not in known] + ([] if path else ["path"])
    if missing:
        raise Problem(
            f"table {file.name} has no column '{missing[0]}'",
            hint="a row is path, label and x, y, width, height (x and y of the middle) "
            "or xmin, ymin, xmax, ymax",
        )
    found: dict[str, Annotated] = {}
    for number, row in enumerate(rows, start=2):
        where = f"table {file.name}, line {number}"
        name = row[str(path)].strip()
        item = found.setdefault(name, Annotated(name, base / name))
        values = [row[known[key]].strip() for key in keys]
        if not any(values) and not row[known["label"]].strip():
            continue  # a picture without objects
        numbers = [_number(dict(zip(keys, values, strict=True)), key, where) for key in keys]
        if keys == _CORNERS:
            left, top, right, low = numbers
            numbers = [(left + right) / 2, (top + low) / 2, right - left, low - top]
        item.boxes.append(_box(row[known["label"]].strip(), numbers, where))
    return found


def _is(value: Any) -> bool:
    return isinstance(value, dict)


def _number(values: Any, key: str, where: str) -> float:
    try:
        return float(values[key])
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(f"{where}: {key} is no number: {values.get(key)!r}") from error


def _box(label: str, numbers: list[float], where: str) -> Box:
    if not label:
        raise Problem(f"{where}: the label is empty")
    if not (numbers[2] > 0 and numbers[3] > 0):
        raise Problem(f"{where}: width and height must be above 0, got {numbers[2:]}")
    return Box(label, *numbers)
