"""What a model file says of itself: the JSON text ``mlbuild.description``, wherever it lies.

Each format has a place for it; this file knows those that need no library: formats that are zip
archives, and formats that may be followed by one (TFLite's own way to carry associated files:
https://ai.google.dev/edge/litert/conversion/tensorflow/metadata).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Dict  # noqa: UP035 - evaluated, on 3.8 too

from ..problem.problem import Problem

KEY = "mlbuild.description"
MEMBER = f"{KEY}.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal models are equal bytes

Description = Dict[str, Any]  # noqa: UP006


def to_text(description: Mapping[str, Any]) -> str:
    """The text that stands in a model."""
    return json.dumps(description, sort_keys=True, ensure_ascii=False)


def from_text(text: str | None, name: str) -> Description:
    """What a text says; nothing where there is none.

    Raises:
        Problem: it is no description.
    """
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Problem(f"{name}: its {KEY} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Problem(f"{name}: its {KEY} is no map")
    return found


def append(path: Path, description: Mapping[str, Any]) -> None:
    """Put it into the zip archive that a file is, or that follows it."""
    member = zipfile.ZipInfo(MEMBER, _EPOCH)
    member.external_attr = 0o644 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, to_text(description))


def appended(path: Path) -> Description:
    """What ``append`` put there; nothing for other files."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return {}
        return from_text(archive.read(MEMBER).decode("utf-8", "replace"), path.name)


def beside(folder: Path, description: Mapping[str, Any]) -> None:
    """Put it into a model that is a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MEMBER).write_text(to_text(description) + "\n", encoding="utf-8")


def inside(folder: Path) -> Description:
    """What ``beside`` put there."""
    file = folder / MEMBER
    return from_text(file.read_text(encoding="utf-8"), folder.name) if file.is_file() else {}
