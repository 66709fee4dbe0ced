"""Bundles on the wire, read as docs/ota.md says: signatures, manifests, encryption, patches.

Standard library and cryptography only; nothing of the stage that makes bundles.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import lzma
import re
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT, METHOD, SEGMENT, TAG = 1, "AES-256-GCM", 1 << 20, 16
DIGEST = re.compile(r"[0-9a-f]{64}")


class Refusal(Exception):  # noqa: N818 - that is what it is called there
    """One of the reasons that the page lists, and words for a log."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def verify(lines: bytes, signed: bytes, pinned: Sequence[bytes]) -> None:
    known = False
    names = {hashlib.sha256(key).hexdigest()[:16]: key for key in pinned}
    for line in lines.decode("utf-8", "replace").split("\n"):
        words = line.split(" ")
        if line and len(words) != 3:
            raise Refusal("malformed", "a line of the signature is none")
        if not line or words[0] != "ed25519" or words[1] not in names:
            continue
        known = True
        try:
            signature = base64.b64decode(words[2], validate=True)
            key = Ed25519PublicKey.from_public_bytes(names[words[1]])
            key.verify(signature, b"mlbuild-ota/1\n" + signed)
            return
        except (InvalidSignature, binascii.Error, ValueError):
            continue
    if known:
        raise Refusal("bad-signature", "the manifest is not what the key signed")
    raise Refusal("unknown-key", "no key that this app knows has signed")


def parsed(signed: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(signed)
        if manifest["format"] != FORMAT:
            raise Refusal("newer-format", f"format {manifest['format']}, known is {FORMAT}")
        _check(manifest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal("malformed", repr(error)) from error
    return dict(manifest)


def _check(manifest: dict[str, Any]) -> None:
    encryption, root = manifest["encryption"], manifest["model"]["file"]
    if encryption is not None and (encryption["method"], encryption["segment"]) != (
        METHOD,
        SEGMENT,
    ):
        raise Refusal("newer-format", f"encryption {encryption['method']} is not known")
    _must(_number(manifest["sequence"]) and manifest["sequence"] > 0, "sequence")
    _must(_number(manifest["rollout"]) and manifest["rollout"] <= 10_000, "rollout")
    _must(bool(manifest["files"]), "files")
    for name in ("name", "version"):
        _must(isinstance(manifest[name], str), name)
    seen: set[str] = set()
    _path(root)
    if "/" in root:
        raise Refusal("unsafe-path", root)
    for file in manifest["files"]:
        path = file["path"]
        _path(path)
        if (path != root and not path.startswith(root + "/")) or path.lower() in seen:
            raise Refusal("unsafe-path", path)
        seen.add(path.lower())
        _must(file["transport"]["unpacked"] == file["size"], "unpacked")
        for transport in (file["transport"], *(patch["transport"] for patch in file["patches"])):
            _must(_digest(transport["file"]), "file")
            _must(transport["compression"] in ("none", "deflate", "lzma"), "compression")
            _must(_number(transport["size"]) and _number(transport["unpacked"]), "size")
            salted = "salt" in transport
            _must(_digest(transport["salt"]) if encryption else not salted, "salt")
        _must(_digest(file["sha256"]) and all(_digest(p["base"]) for p in file["patches"]), "sha")


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Refusal("malformed", what)


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _path(path: str) -> None:
    parts = path.split("/")
    wrong = any(p in ("", ".", "..") or len(p.encode()) > 255 for p in parts)
    if wrong or "\\" in path or "\0" in path:
        raise Refusal("unsafe-path", path)


def older(version: str, wanted: str) -> bool:
    try:
        one, other = ([int(part) for part in text.split(".")] for text in (version, wanted))
    except ValueError:
        return True
    length = max(len(one), len(other))
    return one + [0] * (length - len(one)) < other + [0] * (length - len(other))


def bucket(identity: str, name: str, version: str) -> int:
    text = "\0".join(["mlbuild-ota/1 rollout", identity, name, version])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 10_000


def derived(key: bytes, salt: bytes | None, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


def bound(manifest: dict[str, Any], kind: str, file: dict[str, Any]) -> bytes:
    words = ("mlbuild-ota/1", manifest["name"], manifest["version"], kind, file["path"])
    return "\0".join(words).encode()


def opened(sealed: bytes, master: bytes, salt: bytes, context: bytes) -> bytes:
    okm = derived(master, salt, context, 40)
    cipher, step, plain = AESGCM(okm[:32]), SEGMENT + TAG, []
    for number, start in enumerate(range(0, len(sealed), step)):
        last = start + step >= len(sealed)
        place = struct.pack(">I", number)
        try:
            piece = sealed[start : start + step]
            plain.append(cipher.decrypt(okm[32:] + place, piece, context + place + bytes([last])))
        except InvalidTag:
            raise Refusal("cannot-decrypt", f"segment {number}") from None
    return b"".join(plain)


def expanded(data: bytes, how: str, size: int) -> bytes:
    try:
        if how == "deflate":
            data = zlib.decompressobj(-15).decompress(data, size + 1)
        elif how == "lzma":
            data = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data, size + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise Refusal("cannot-expand", str(error)) from error
    if len(data) != size:
        raise Refusal("wrong-size", f"not the {size} bytes announced")
    return data


def patched(base: bytes, patch: bytes, size: int) -> bytes:
    made, place = bytearray(), 4

    def take(data: bytes, start: int, length: int) -> bytes:
        if start + length > len(data):
            raise Refusal("bad-patch", "it reads beyond the end")
        return data[start : start + length]

    def number() -> int:
        nonlocal place
        place += 8
        return int.from_bytes(take(patch, place - 8, 8), "little")

    if patch[:4] != b"MLD1":
        raise Refusal("bad-patch", "it is no patch")
    while (code := take(patch, place, 1)) != b"E":
        place += 1
        if code not in b"CIA":
            raise Refusal("bad-patch", "an instruction is unknown")
        offset = number() if code in b"CA" else 0
        length = number()
        if len(made) + length > size:
            raise Refusal("bad-patch", "it makes more than it should")
        piece = take(base, offset, length) if code in b"CA" else b""
        if code in b"IA":
            change = take(patch, place, length)
            place += length
            piece = bytes((a + b) % 256 for a, b in zip(piece, change)) if piece else change  # noqa: B905
        made += piece
    if place + 1 != len(patch):
        raise Refusal("bad-patch", "something is behind its end")
    return bytes(made)


def checked(data: bytes, file: dict[str, Any]) -> bytes:
    if len(data) != file["size"]:
        raise Refusal("wrong-size", file["path"])
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise Refusal("wrong-digest", file["path"])
    return data
