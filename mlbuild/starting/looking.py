"""What data are: a look at names, headers and first rows, never at all of them."""

from __future__ import annotations

import itertools
import json
import mmap
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mlbuild.errors import Problem, UsageError
from mlbuild.starting.arrays import look_at_arrays
from mlbuild.starting.found import FEW, Form, Found
from mlbuild.starting.tables import SUFFIXES as TABLES
from mlbuild.starting.tables import epochs_for, look_at_table

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic", ".tif", ".tiff", ".gif")
_TEXTS = (".txt", ".eml", ".json", ".md")
_STROKES = (".ndjson", ".jsonl")
_ANNOTATIONS = ("annotations.csv", "annotations.tsv", "labels.csv")
_OWN_JSON = ("annotations.json", "_annotations.createml.json")  # found without being named
_COCO = ("images", "annotations", "categories")
_SEEN = 500  # files of a folder that are looked at
_LARGE = 50_000_000  # bytes of JSON
# What lies about in a project without being what it is made for.
_NO_SIGN = (Form.TEXT, Form.ARRAYS, Form.FLAT_PICTURES, Form.TEXTS, Form.TABLES)
_OWN = ("pipelines", "stages", "build", "releases", "models", "tests", "keys", "docs")


def look(path: Path, target: str | None = None) -> Found:
    """What lies there.

    Args:
        path: a file or a folder.
        target: the column of a table that is to be told.

    Raises:
        UsageError: nothing that a task is known for.
    """
    if not path.exists():
        raise UsageError(Problem(f"there are no data at {path}"))
    found = _file(path, target) if path.is_file() else _folder(path, target)
    if found is None:
        raise UsageError(
            Problem(
                f"what {path} holds tells no task",
                got=_summary(path),
                allowed=tuple(form.value for form in Form if form is not Form.ARRAYS),
                hint="lay it out so, or begin without --data and change the pipeline file",
            )
        )
    return found


def search(folder: Path) -> Found | None:
    """Data that lie in a project already: in `data/`, below it, or beside it."""
    data = folder / "data"
    for place in (*_folders(data), *_files(data), data, *_folders(folder), *_files(folder)):
        if place.parent == folder and place.name in _OWN:
            continue
        try:
            found = _file(place, None) if place.is_file() else _folder(place, None)
        except UsageError:
            continue
        if found and (found.form not in _NO_SIGN or data in (place, place.parent)):
            return found
    return None


def _file(path: Path, target: str | None) -> Found | None:
    name = path.name.lower()
    if name.endswith(TABLES):
        return look_at_table(path, target)
    if name.endswith(".npz"):
        return look_at_arrays(path)
    if name.endswith(".ts"):
        facts: dict[str, str | bool] = {"window": "50", "session": ""}
        return Found(path, Form.SESSIONS, "a file of the UEA archive's format", facts)
    if name.endswith(_STROKES):
        return Found(path, Form.STROKES, "lines of JSON") if _strokes(path) else None
    if name.endswith(".txt"):
        return Found(path, Form.TEXT, f"{path.stat().st_size} bytes of text")
    return None


def _folder(path: Path, target: str | None) -> Found | None:
    return (
        _annotated(path)
        or _masks(path)
        or _classes(path)
        or _flat(path)
        or _only_table(path, target)
    )


def _annotated(path: Path) -> Found | None:
    files = _files(path)
    for file in files:
        if file.name in _ANNOTATIONS and any(f.suffix.lower() in PICTURES for f in files):
            return Found(path, Form.ANNOTATED, f"{file.name} beside pictures", {"annotations": ""})
        if file.suffix.lower() == ".json" and (kind := _annotations(file)):
            named = "" if file.name in _OWN_JSON else file.name
            return Found(path, Form.ANNOTATED, f"{file.name} ({kind})", {"annotations": named})
    return None


def _annotations(file: Path) -> str | None:
    """Whose format a JSON file of boxes is in, if it is one."""
    try:
        if file.stat().st_size > _LARGE:
            return "COCO's format" if _holds(file, *_COCO) else None
        held = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(held, dict) and held.keys() >= set(_COCO):
        return "COCO's format"
    first = held[0] if isinstance(held, list) and held else None
    if isinstance(first, dict) and isinstance(first.get("annotations"), list):
        return "Create ML's format"
    return None


def _holds(file: Path, *names: str) -> bool:
    """Whether a large file names all keys somewhere; it is not read as JSON."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return all(text.find(f'"{name}"'.encode()) >= 0 for name in names)


def _masks(path: Path) -> Found | None:
    inside = {folder.name.lower(): folder for folder in _folders(path)}
    images = next((inside[n] for n in ("images", "pictures", "photos") if n in inside), None)
    masks = next((inside[n] for n in ("masks", "labels", "annotations") if n in inside), None)
    if images is None or masks is None:
        return None
    pictures = {f.stem for f in _some(images) if f.suffix.lower() in PICTURES}
    both = pictures & {f.stem for f in _some(masks) if f.suffix.lower() in PICTURES}
    if not both:
        return None
    told = f"{images.name}/ and {masks.name}/ hold pictures of the same names"
    facts: dict[str, str | bool] = {"images": images.name, "masks": masks.name}
    return Found(path, Form.MASKS, told, facts)


def _classes(path: Path) -> Found | None:
    """Folders named by class, of files of one sort."""
    held = {folder.name: [_sort(f) for f in _some(folder)] for folder in _folders(path)}
    held = {name: sorts for name, sorts in held.items() if any(sorts)}
    if len(held) < 2:
        return None
    counted = Counter(sort for sorts in held.values() for sort in sorts if sort)
    sort, count = counted.most_common(1)[0]
    told = f"{len(held)} folders with {count} {sort.value.split(' of ')[1].split(' for ')[0]}"
    facts: dict[str, str | bool] = {"guess": f"{1 / len(held):.2g}", "few": count < FEW}
    if sort is Form.SOUNDS:
        facts |= _heard(path)
    if sort is Form.TABLES:
        facts |= {"window": "50", "session": ""}
    if sort is Form.TEXTS:
        facts |= {"text": "text", "target": "", "header": "", "epochs": epochs_for(count)}
    return Found(path, sort, told, facts)


def _sort(file: Path) -> Form | None:
    suffix = file.suffix.lower()
    if suffix in PICTURES:
        return Form.PICTURES
    if suffix == ".wav":
        return Form.SOUNDS
    if suffix in _TEXTS:
        return Form.TEXTS
    return Form.TABLES if suffix in (".csv", ".tsv") else None


def _heard(path: Path) -> dict[str, str | bool]:
    """The rate of most recordings, and half a median recording as the window, up to a second."""
    rates: Counter[int] = Counter()
    lengths = []
    for file in itertools.islice(path.glob("*/*.[wW][aA][vV]"), 200):
        try:
            with wave.open(str(file)) as sound:
                rates[sound.getframerate()] += 1
                lengths.append(sound.getnframes() / sound.getframerate())
        except (wave.Error, EOFError, OSError, ZeroDivisionError):
            continue  # floats, or spoilt: the stage reads more than this module, and tells
    if not lengths:
        return {"rate": "16000", "window": "0.975"}
    median = sorted(lengths)[len(lengths) // 2]
    return {
        "rate": str(rates.most_common(1)[0][0]),
        "window": f"{max(0.1, min(median, 0.975)):.2g}",
    }


def _flat(path: Path) -> Found | None:
    count = sum(f.suffix.lower() in PICTURES for f in _files(path))
    return Found(path, Form.FLAT_PICTURES, f"{count} pictures") if count else None


def _only_table(path: Path, target: str | None) -> Found | None:
    known = [f for f in _files(path) if f.name.lower().endswith((*TABLES, ".npz", ".ts"))]
    return _file(known[0], target) if len(known) == 1 else None


def _strokes(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "drawing" in first


def _summary(path: Path) -> str:
    if path.is_file():
        return f"a file {path.name}"
    below = itertools.chain(_some(path), *map(_some, _folders(path)[:50]))
    sorts = Counter(f.suffix.lower() or f.name for f in below)
    told = ", ".join(f"{count} {sort}" for sort, count in sorts.most_common(4))
    return f"{len(_folders(path))} folders; {told or 'no files'}"


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in _entries(path) if p.is_dir())


def _files(path: Path) -> list[Path]:
    return sorted(p for p in itertools.islice(_entries(path), _SEEN) if p.is_file())


def _some(path: Path) -> list[Path]:
    return [p for p in itertools.islice(_entries(path), _SEEN) if p.is_file()]


def _entries(path: Path) -> Iterator[Path]:
    try:
        yield from (p for p in path.iterdir() if p.name[0] not in "._" or p.name in _OWN_JSON)
    except OSError:
        return
