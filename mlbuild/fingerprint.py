"""Bytes, files, folders, values and code -> digests.

Content digests are DVC's (MD5 of a file, MD5 of the sorted listing of a folder): they identify,
they do not protect. Everything else is SHA-256 over a canonical encoding with a domain tag, so
that two kinds of facts can never be taken for each other.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_BUFFER = 1 << 20
_QUOTE = json.encoder.encode_basestring_ascii
_EDITOR_FILES = (".swp", ".swo", "~", ".orig", ".rej")


def canonical(value: Any) -> bytes:
    """Encodes a JSON-like value so that equal values are equal bytes.

    ``1``, ``1.0``, ``True`` and ``"1"`` are four different values; the order of keys is none.

    Raises:
        ValueError: NaN or an infinity, which are not equal to themselves or not JSON.
        TypeError: not JSON, or a key that is no string.
    """
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key must be a string, not {key!r}")
            _check(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be a parameter: it has no canonical form")
    elif value is not None and not isinstance(value, (str, int)):
        raise TypeError(f"{type(value).__name__} has no canonical form")


def digest(domain: str, value: Any) -> str:
    """SHA-256 (hex) of a canonical value; ``domain`` says what kind of fact it is."""
    hasher = hashlib.sha256(f"mlbuild:{domain}\0".encode())
    hasher.update(canonical(value))
    return hasher.hexdigest()


def file_md5(path: str | os.PathLike[str]) -> str:
    """MD5 (hex) of a file's bytes."""
    hasher = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs more than a small file
        # A buffer of the file's size: 1 MiB for each small file would cost more than its hash.
        size = min(os.fstat(file.fileno()).st_size + 1, _BUFFER)
        while chunk := file.read(size):
            hasher.update(chunk)
    return hasher.hexdigest()


def listing_md5(entries: Iterable[tuple[str, str]]) -> tuple[str, bytes]:
    """The digest of a folder and the bytes of its ``.dir`` object, as DVC writes it.

    Args:
        entries: (path relative to the folder with '/', MD5 of the file), in any order.
    """
    lines = (
        f'{{"md5": "{md5}", "relpath": {_QUOTE(relpath)}}}' for relpath, md5 in sorted(entries)
    )
    data = f"[{', '.join(lines)}]".encode()
    return hashlib.md5(data, usedforsecurity=False).hexdigest() + ".dir", data


def code_listing(files: Mapping[str, Path]) -> dict[str, str]:
    """Name -> MD5 of source files.

    Args:
        files: relative name -> where the file lies. Caches of Python and leftovers of editors
            are not code and do not count.
    """
    return {name: file_md5(path) for name, path in files.items() if is_code(name)}


def code_digest(files: Mapping[str, Path]) -> str:
    """SHA-256 of source files by their names and bytes; ``files`` as for ``code_listing``."""
    return digest("code", code_listing(files))


def is_code(name: str) -> bool:
    """Whether a file of that relative name counts as code."""
    parts = name.split("/")
    last = parts[-1]
    if "__pycache__" in parts or last.endswith((".pyc", ".pyo")):
        return False
    return not last.endswith(_EDITOR_FILES) and not last.startswith((".#", ".DS_Store"))
