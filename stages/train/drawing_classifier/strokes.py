"""Strokes, in the two formats that are around, and their picture."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..._shared.problem.problem import Problem

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv")
_LABELS = ("label", "word")
_FINE = 8  # drawn so many times larger, then averaged
Stroke = np.ndarray  # [P, 2]


def entries(file: Path, drawing_column: str, label_column: str) -> Iterator[tuple[str, str, Any]]:
    """Place, label and drawing of each entry of a file.

    Raises:
        Problem: the file cannot be read, or an entry has no label or drawing.
    """
    for where, entry in _entries(file):
        label = next((entry[k] for k in (label_column, *_LABELS) if k in entry), None)
        if label is None or drawing_column not in entry:
            lacks = label_column if label is None else drawing_column
            raise Problem(f"{where}: no '{lacks}'", hint=f"it has {', '.join(map(str, entry))}")
        yield where, str(label), entry[drawing_column]


def _entries(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".json":
            rows: Any = json.loads(text)
            if not isinstance(rows, list):
                raise Problem(f"{file.name}: a list of drawings is expected")
            found = [(f"{file.name}, entry {n}", row) for n, row in enumerate(rows)]
        elif file.suffix == ".csv":
            csv.field_size_limit(sys.maxsize)  # a drawing is one long cell
            lines = csv.DictReader(text.splitlines())
            found = [(f"{file.name}, line {n}", row) for n, row in enumerate(lines, start=2)]
        else:
            lines = enumerate(text.splitlines(), start=1)
            found = [(f"{file.name}, line {n}", json.loads(s)) for n, s in lines if s.strip()]
    except (OSError, ValueError, csv.Error) as error:
        raise Problem(f"{file.name} cannot be read: {error}") from error
    for where, row in found:
        if not isinstance(row, dict):
            raise Problem(f"{where}: an object with drawing and label is expected")
        yield where, row


def parse(drawing: Any) -> list[Stroke]:
    """The strokes of an entry.

    Raises:
        ValueError: it is neither format, or empty.
    """
    if isinstance(drawing, str):
        drawing = json.loads(drawing)
    if not isinstance(drawing, list) or not drawing:
        raise ValueError("a drawing is a list of strokes")
    strokes = [_stroke(stroke) for stroke in drawing if stroke]
    if not strokes:
        raise ValueError("the drawing is empty")
    return strokes


def _stroke(stroke: Any) -> Stroke:
    try:
        if isinstance(stroke[0], dict):
            points = [(float(p["x"]), float(p["y"])) for p in stroke]
        else:
            points = list(zip(map(float, stroke[0]), map(float, stroke[1]), strict=True))
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise ValueError("a stroke is a list of {x, y}, or a list of x and one of y") from error
    found = np.array(points, dtype=np.float64)
    if not len(found) or not np.isfinite(found).all():
        raise ValueError("a stroke holds no points, or points that are not finite")
    return found


def render(
    strokes: list[Stroke], side: int, width: float, margin: float, smooth: bool
) -> Image.Image:
    """Draw strokes bright on dark, scaled into the square, proportions kept."""
    fine = _FINE if smooth else 1
    every = np.concatenate(strokes)
    low, span = every.min(axis=0), float((every.max(axis=0) - every.min(axis=0)).max())
    room = side * fine * (1 - 2 * margin) - width * fine
    zoom = room / span if span else 0.0
    shift = side * fine / 2 - zoom * (every.max(axis=0) - low) / 2
    page = Image.new("L", (side * fine, side * fine), 0)
    pen = ImageDraw.Draw(page)
    radius = max(width * fine / 2, 0.5)
    for stroke in strokes:
        points = [tuple(p) for p in (stroke - low) * zoom + shift]
        if len(points) > 1:
            pen.line(points, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in (points[0], points[-1]):  # round ends; a dot where nothing else is
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return page.resize((side, side), Image.Resampling.BOX) if smooth else page
