"""Files as they are fetched: compressed, encrypted, named by the SHA-256 of what is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..problem.problem import Problem
from .compression import compress, expand
from .earlier import Earlier
from .keys import EncryptionKey
from .model import Model
from .patch import apply, patch
from .sealing import seal, unseal
from .wire import context, sha256


@dataclass
class Payload:
    """What lies in ``files/``, and how it is made."""

    name: str
    version: str
    compression: str
    key: EncryptionKey | None
    files: dict[str, bytes] = field(default_factory=dict)  # by SHA-256

    def add(self, data: bytes, kind: str, path: str) -> dict[str, Any]:
        """Pack bytes; the entry by which a client fetches them."""
        packed, method = compress(data, self.compression)
        entry: dict[str, Any] = {"compression": method, "unpacked": len(data)}
        if self.key is not None:
            bound = context(self.name, self.version, kind, path)
            packed, salt = seal(packed, self.key, bound)
            entry["salt"] = salt.hex()
        entry["file"], entry["size"] = sha256(packed), len(packed)
        self.files[entry["file"]] = packed
        return entry


def entries(
    model: Model, name: str, earlier: Sequence[Earlier], payload: Payload
) -> list[dict[str, Any]]:
    """The manifest's ``files``: each in full, and as patches of earlier versions of it."""
    found = []
    for path, inner in model.paths(name).items():
        data = model.files[inner]
        entry = {"path": path, "size": len(data), "sha256": sha256(data)}
        entry["transport"] = payload.add(data, "full", path)
        entry["patches"] = _patches(data, path, inner, entry, earlier, payload)
        found.append(entry)
    return found


def _patches(
    data: bytes,
    path: str,
    inner: str,
    entry: Mapping[str, Any],
    earlier: Sequence[Earlier],
    payload: Payload,
) -> list[dict[str, Any]]:
    """Patches from every earlier content of the file that are smaller than the file itself."""
    made: dict[str, dict[str, Any]] = {}
    for version in earlier:
        base = version.model.files.get(inner)
        digest = None if base is None else sha256(base)
        if base is None or digest is None or digest == entry["sha256"] or digest in made:
            continue
        instructions = patch(base, data)
        if apply(base, instructions, len(data)) != data:
            raise Problem(f"{path}: the patch from version {version.version} does not lead to it")
        before = set(payload.files)
        transport = payload.add(instructions, f"patch {digest}", path)
        if transport["size"] >= entry["transport"]["size"]:
            for unused in set(payload.files) - before:
                del payload.files[unused]
            continue
        made[digest] = {"base": digest, "base_size": len(base), "transport": transport}
    return [made[digest] for digest in sorted(made)]


def opened(
    packed: bytes, entry: Mapping[str, Any], key: EncryptionKey | None, bound: bytes
) -> bytes:
    """The bytes behind an entry's transport.

    Raises:
        Problem: they are damaged, or the key is missing or another one.
    """
    if sha256(packed) != entry["file"] or len(packed) != entry["size"]:
        raise Problem("is damaged: its SHA-256 is another one")
    salt = entry.get("salt")
    if salt is not None:
        if key is None:
            raise Problem("is encrypted", hint="give its key with `encryption_key`")
        packed = unseal(packed, key, bytes.fromhex(salt), bound)
    return expand(packed, entry["compression"], entry["unpacked"])


def update_size(files: Sequence[Mapping[str, Any]], version: Earlier) -> int:
    """Bytes that a client fetches to come here from an earlier version."""
    held = {sha256(data) for data in version.model.files.values()}
    total = 0
    for file in files:
        if file["sha256"] in held:
            continue
        ways = [file["transport"], *(p["transport"] for p in file["patches"] if p["base"] in held)]
        total += min(way["size"] for way in ways)
    return total
