"""Which model it is: a digest of what computes, not of how it was packed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..package import open_model


def model_digest(path: str | Path) -> str:
    """SHA-256 over the specification and all weight files, by name.

    The manifest of a package is left out: it holds identifiers that are random at each saving.
    So is metadata: the date of a conversion, a description and an author change no answer.

    Raises:
        ModelFileError: there is no model.
    """
    files = open_model(path)
    spec = type(files.spec)()
    spec.CopyFrom(files.spec)
    spec.description.ClearField("metadata")
    digest = hashlib.sha256(spec.SerializeToString(deterministic=True))
    if files.path.is_dir():
        others = (p for p in files.folder.rglob("*") if p.is_file() and p != files.spec_file)
        for file in sorted(others):
            digest.update(file.relative_to(files.folder).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
