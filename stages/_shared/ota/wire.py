"""What a bundle is made of on the wire: names, paths, digests, versions (docs/ota.md).

Bundles hold two texts, ``bundle.json`` and ``bundle.sig``, and ``files/<sha256>``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = 1
TAG = b"mlbuild-ota/1"
MANIFEST, SIGNATURE, FILES = "bundle.json", "bundle.sig", "files"
WHOLE = 10_000  # a roll-out to everybody, in hundredths of a percent

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255  # bytes of a part of a path; what file systems allow


def canonical(manifest: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def sha256(data: bytes) -> str:
    """In lower case hex."""
    return hashlib.sha256(data).hexdigest()


def tree_sha256(files: Iterable[tuple[str, str]]) -> str:
    """One digest of a folder, of pairs of path and SHA-256, as ``sha256sum`` would print them."""
    return sha256("".join(f"{digest}  {path}\n" for path, digest in sorted(files)).encode())


def is_sha256(text: object) -> bool:
    """Whether it is 64 digits of lower case hex."""
    return isinstance(text, str) and bool(_SHA256.fullmatch(text))


def path_complaint(path: str) -> str | None:
    """Why a model's file may not have this path; None where it may."""
    if not path or path.startswith("/") or "\\" in path or "\0" in path:
        return "is no relative path"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "leads out of its folder"
    if any(len(part.encode()) > _LONGEST for part in parts):
        return "is too long"
    return None


def context(name: str, version: str, kind: str, path: str) -> bytes:
    """What an encrypted file is bound to: whose it is, and which.

    Args:
        name: the bundle's.
        version: the bundle's.
        kind: ``full``, or ``patch`` with the SHA-256 of its base behind a space.
        path: of the file in the model.
    """
    return b"\0".join([TAG, *(part.encode("utf-8") for part in (name, version, kind, path))])


def bucket(installation: str, name: str, version: str) -> int:
    """In which of 10,000 parts an installation lies; it is in a roll-out that is greater."""
    parts = (TAG + b" rollout", installation.encode(), name.encode(), version.encode())
    return int.from_bytes(hashlib.sha256(b"\0".join(parts)).digest()[:8], "big") % WHOLE
