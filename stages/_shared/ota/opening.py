"""Reading a bundle back: as an input of the next one, and as the proof of what was just written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..problem.problem import Problem
from .earlier import Earlier
from .keys import EncryptionKey, is_signed
from .model import Model, read
from .payload import opened
from .wire import FILES, FORMAT, MANIFEST, SIGNATURE, context, is_sha256, path_complaint, sha256


def earlier_of(path: Path, name: str, key: EncryptionKey | None) -> Earlier:
    """An input ``previous``: a bundle, or a model that an app was shipped with.

    Raises:
        Problem: it is neither, is damaged, or is of another model.
    """
    if not (path / MANIFEST).is_file():
        return Earlier(read(path), where=path)
    return open_bundle(path, name, key)


def open_bundle(folder: Path, name: str | None, key: EncryptionKey | None) -> Earlier:
    """All files of a bundle, unpacked and checked.

    Raises:
        Problem: something of it is missing or damaged, or it is of another model.
    """
    try:
        return _opened(folder, _manifest(folder), name, key)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem(f"{folder.name}: {MANIFEST} is none of a bundle ({error!r})") from error


def check_signature(folder: Path, pinned: Sequence[bytes]) -> None:
    """Whoever signs a model again must know that it is what was signed before.

    Raises:
        Problem: none of these keys has signed the bundle.
    """
    signatures = folder / SIGNATURE
    text = signatures.read_text(encoding="ascii", errors="replace") if signatures.exists() else ""
    if not is_signed(text, (folder / MANIFEST).read_bytes(), pinned):
        raise Problem(
            f"rollback_to: {folder.name} is not signed by a key that the client pins",
            hint="if an earlier key of yours has signed it, list that in `public_keys`",
        )


def _opened(
    folder: Path, manifest: dict[str, Any], name: str | None, key: EncryptionKey | None
) -> Earlier:
    if name is not None and manifest["name"] != name:
        raise Problem(
            f"previous: {folder.name} is a bundle of {manifest['name']!r}, this one is of {name!r}",
            hint="set `name` to it, or give bundles of this model",
        )
    root = manifest["model"]["file"]
    files = {}
    for file in manifest["files"]:
        path = file["path"]
        wrong = path_complaint(path)
        if wrong or not (path == root or path.startswith(root + "/")):
            raise Problem(f"{folder.name}: the file {path!r} {wrong or 'is not of the model'}")
        files[path[len(root) + 1 :]] = _content(folder, manifest, file, key)
    model = Model(Path(root).suffix, files)
    if model.sha256 != manifest["model"]["sha256"]:
        raise Problem(f"{folder.name}: the files are not those of the model")
    return Earlier(model, manifest["version"], int(manifest["sequence"]), folder)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(f"{folder.name}: {MANIFEST} cannot be read ({error})") from error
    if version != FORMAT:
        raise Problem(f"{folder.name} has format {version!r}, known: {FORMAT}")
    return dict(manifest)


def _content(
    folder: Path, manifest: dict[str, Any], file: dict[str, Any], key: EncryptionKey | None
) -> bytes:
    transport = file["transport"]
    bound = context(manifest["name"], manifest["version"], "full", file["path"])
    if not is_sha256(transport["file"]):
        raise Problem(f"{folder.name}: {transport['file']!r} names no file of a bundle")
    try:
        packed = (folder / FILES / transport["file"]).read_bytes()
        data = opened(packed, transport, key, bound)
    except OSError as error:
        raise Problem(f"{folder.name}: {file['path']} is missing") from error
    except Problem as problem:
        raise Problem(f"{folder.name}: {file['path']} {problem}", problem.hint) from problem
    if sha256(data) != file["sha256"]:
        raise Problem(f"{folder.name}: {file['path']} has another SHA-256")
    return data
