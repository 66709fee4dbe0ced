"""Write each row of pixel values as a PNG file."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..._shared.problem.problem import Problem, told

_SUFFIXES = (".csv", ".csv.gz", ".npz")
_IMAGES = ("x", "X", "images", "data", "x_train")
_LABELS = ("y", "Y", "labels", "target", "y_train")


@told
def run(job: Any) -> None:
    """Read all rows, then write them."""
    file = _file(job.inputs["pixels"])
    read = _read_npz if file.name.endswith(".npz") else _read_csv
    pictures, labels = read(file, job.params)
    if not len(pictures):
        raise Problem(f"{file.name} holds no rows")
    pictures = _bytes(pictures, file.name, job.params)
    digits = max(5, len(str(len(pictures))))
    for row, (pixels, label) in enumerate(zip(pictures, labels, strict=True)):
        name = job.params.names.get(label, label)
        folder = job.outputs["images"] / _folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        # The fastest compression: files this small gain nothing from more.
        Image.fromarray(pixels).save(folder / f"{row:0{digits}}.png", compress_level=1)
        job.progress(row + 1, len(pictures), "writing")
    job.metric("images", len(pictures))
    job.metric("labels", len({job.params.names.get(label, label) for label in labels}))


def _file(path: Path) -> Path:
    if path.is_file():
        found = [path]
    else:
        found = sorted(p for p in path.rglob("*") if p.name.endswith(_SUFFIXES) and p.is_file())
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise Problem(f"{path.name} must hold exactly one .csv, .csv.gz or .npz, found: {names}")
    if not found[0].name.endswith(_SUFFIXES):
        raise Problem(f"{found[0].name}: expected a .csv, .csv.gz or .npz")
    return found[0]


def _folder(name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise Problem(f"class '{name}' cannot name a folder", hint="give it another under names")
    return name


def _read_csv(file: Path, params: Any) -> tuple[np.ndarray, list[str]]:
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.name.endswith(".gz") else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise Problem(f"{file.name} cannot be read: {error}") from error
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise Problem(f"{file.name} is empty")
    named = params.header == "yes" or (params.header == "auto" and not _numeric(rows[0][1:-1]))
    header, rows = (rows[0], rows[1:]) if named else (None, rows)
    column = _label_column(header, len(header or rows[0]), params.label, file.name)
    start = 2 if named else 1
    return _values(rows, column, start, file.name), _classes(rows, column)


def _classes(rows: list[list[str]], column: int) -> list[str]:
    # "7.0" is how some tools write the class 7.
    labels = [row[column].strip() for row in rows]
    if all(_numeric([label]) and float(label).is_integer() for label in labels):
        return [str(int(float(label))) for label in labels]
    return labels


def _values(rows: list[list[str]], column: int, start: int, name: str) -> np.ndarray:
    width = len(rows[0]) if rows else 0
    values = np.empty((len(rows), max(width - 1, 0)), dtype=np.float64)
    for number, row in enumerate(rows):
        if len(row) != width:
            raise Problem(f"{name}, line {number + start}: {len(row)} cells, expected {width}")
        try:
            values[number] = [float(v) for v in row[:column] + row[column + 1 :]]
        except ValueError as error:
            raise Problem(f"{name}, line {number + start}: {error}") from error
    return values


def _label_column(header: list[str] | None, width: int, label: str, name: str) -> int:
    if label in ("first", "last"):
        return 0 if label == "first" else width - 1
    if header is None or label not in header:
        has = ", ".join(header[:8]) if header else "no header line"
        raise Problem(f"{name} has no column '{label}'", hint=f"it has {has}")
    return header.index(label)


def _numeric(cells: list[str]) -> bool:
    try:
        return all(math.isfinite(float(cell)) for cell in cells)
    except ValueError:
        return False


def _read_npz(file: Path, params: Any) -> tuple[np.ndarray, list[str]]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            names = list(arrays.files)
            images = _pick(names, params.images_array, _IMAGES, file.name)
            labels = _pick(names, params.labels_array, _LABELS, file.name)
            pictures, classes = arrays[images], arrays[labels].reshape(-1)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise Problem(f"{file.name} cannot be read: {error}") from error
    if len(pictures) != len(classes):
        raise Problem(f"{file.name}: {len(pictures)} pictures, but {len(classes)} classes")
    return pictures, [str(c) for c in classes.tolist()]


def _pick(names: list[str], given: str | None, usual: tuple[str, ...], file: str) -> str:
    for name in [given] if given else usual:
        if name in names:
            return name
    wanted = given or " or ".join(usual[:3])
    raise Problem(f"{file} has no array {wanted}", hint=f"it has {', '.join(names)}")


def _bytes(pictures: np.ndarray, name: str, params: Any) -> np.ndarray:
    count, values = len(pictures), int(np.prod(pictures.shape[1:]))
    height, width = _sides(pictures, values, name, params)
    if params.channels == 3 and params.layout == "planes" and pictures.ndim == 2:
        shaped = pictures.reshape(count, 3, height, width).transpose(0, 2, 3, 1)
    else:
        shaped = pictures.reshape(count, height, width, params.channels)
    scaled = np.rint(shaped.astype(np.float64) * (255.0 / params.white))
    if not np.isfinite(scaled).all() or scaled.min() < 0 or scaled.max() > 255:
        low, high = shaped.min(), shaped.max()
        raise Problem(
            f"{name}: values run from {low:g} to {high:g}, expected 0 to {params.white:g}",
            hint="set white to the value of full brightness",
        )
    whole = scaled.astype(np.uint8)
    whole = 255 - whole if params.invert else whole
    return whole[:, :, :, 0] if params.channels == 1 else whole


def _sides(pictures: np.ndarray, values: int, name: str, params: Any) -> tuple[int, int]:
    if params.width:
        height, width = params.height, params.width
    elif pictures.ndim >= 3:
        height, width = pictures.shape[1:3]
    else:
        height = width = math.isqrt(values // params.channels)
    if height * width * params.channels != values:
        raise Problem(
            f"{name}: {values} values are no {height} by {width} picture of {params.channels} "
            "channels",
            hint="give width, height and channels",
        )
    return height, width
