"""Core ML packages with canonical bytes: equal models are equal files.

coremltools gives every item of a package a random identifier and writes the date of conversion
into the model's metadata. Both are rewritten here, so that a package's digest says something.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from ..problem.problem import Problem

# Metadata that differs from run to run of one conversion.
_VOLATILE = ("com.github.apple.coremltools.conversion_date",)
# "torch==2.13.0+cpu": the build behind the plus is the machine's, not the model's.
_WITH_PLATFORM = ("com.github.apple.coremltools.source",)
_MODE_FILE, _MODE_FOLDER = 0o644, 0o755


class PackageError(Problem):
    """The folder is no Core ML package that can be read."""


def save(mlmodel: Any, path: Path) -> Path:
    """Write a coremltools ``MLModel`` as a canonical package.

    Args:
        mlmodel: what ``ct.convert`` or ``ct.optimize`` returned.
        path: ends in ``.mlpackage``; what stands there is replaced.

    Returns:
        The path.
    """
    path = Path(path)
    if path.suffix != ".mlpackage":
        # coremltools silently appends the suffix or writes another format.
        raise PackageError(f"{path.name}: a package's name ends in .mlpackage")
    if path.exists():
        shutil.rmtree(path)
    mlmodel.save(str(path))
    canonicalize(path)
    return path


def canonicalize(path: Path) -> None:
    """Rewrite a package in place: fixed identifiers, no date, sorted maps, plain file modes.

    Raises:
        PackageError: the folder has no readable manifest or names a file that is missing.
    """
    path = Path(path)
    manifest = _manifest(path)
    entries = manifest["itemInfoEntries"]
    renamed: dict[str, str] = {}
    items: dict[str, Any] = {}
    for old, item in entries.items():
        if not (path / "Data" / item["path"]).exists():
            raise PackageError(f"{path.name}: the manifest names {item['path']}, which is missing")
        renamed[old] = _identifier(item["path"])
        items[renamed[old]] = item
    root = manifest["rootModelIdentifier"]
    _rewrite_model(path / "Data" / entries[root]["path"])
    manifest = {**manifest, "itemInfoEntries": items, "rootModelIdentifier": renamed[root]}
    text = json.dumps(manifest, indent=4, sort_keys=True)
    (path / "Manifest.json").write_text(text + "\n", encoding="utf-8")
    _plain_modes(path)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    path = Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "Manifest.json").read_text(encoding="utf-8"))
        entries = manifest["itemInfoEntries"]
        entries[manifest["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path.name}: no readable Manifest.json ({error})") from error
    return manifest


def _identifier(item_path: str) -> str:
    # What an item is for names it; two packages may share identifiers, one may not repeat them.
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "mlbuild:mlpackage/" + item_path)).upper()


def _rewrite_model(file: Path) -> None:
    from coremltools.proto import Model_pb2  # not at import: size_of must not pay for coremltools

    model = Model_pb2.Model()
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no stable home
        raise PackageError(f"{file.name}: not a Core ML model ({error})") from error
    metadata = model.description.metadata.userDefined
    for key in _VOLATILE:
        if key in metadata:
            del metadata[key]
    for key in _WITH_PLATFORM:
        if key in metadata:
            metadata[key] = metadata[key].partition("+")[0]
    data = model.SerializeToString(deterministic=True)
    # A new file, never a write into the old one, which may be a link into a cache.
    fresh = file.with_name(file.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(file)


def _plain_modes(path: Path) -> None:
    path.chmod(_MODE_FOLDER)
    for folder, names, files in os.walk(path):
        for name in names:
            (Path(folder) / name).chmod(_MODE_FOLDER)
        for name in files:
            (Path(folder) / name).chmod(_MODE_FILE)
