"""The file model.sig: a Sigstore bundle around a statement that lists every file of the folder.

Format: https://docs.sigstore.dev/about/bundle/ (the envelope is DSSE), the statement's predicate
https://model_signing/signature/v1.0. What is read here is not yet proven by a key; it is read
strictly, so that what was proven has one meaning only.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlbuild.records import Json
from mlbuild.release.checking.strict_json import parse

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_HEX = frozenset("0123456789abcdef")
# Links are refused, and nothing but the signature itself is left out.
SERIALIZATION = {
    "method": "files",
    "hash_type": "sha256",
    "ignore_paths": ["model.sig"],
    "allow_symlinks": False,
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signature as it was read."""

    key: str | None  # SHA-256 of the public key that it names; None: signed without a key
    files: Mapping[str, str]  # path -> SHA-256
    folder: str  # the folder's name when it was signed; only a word


def read_bundle(data: bytes) -> Bundle:
    """Reads a signature.

    Raises:
        ValueError: it is none, or could be read in two ways; completes "model.sig ...".
    """
    value = parse(data)
    if not isinstance(value, dict) or value.get("mediaType") != _MEDIA_TYPE:
        raise ValueError(f"is no signature in the format {_MEDIA_TYPE}")
    envelope, material = value.get("dsseEnvelope"), value.get("verificationMaterial")
    if not isinstance(envelope, dict) or not isinstance(material, dict):
        raise ValueError("holds no signed statement")
    if envelope.get("payloadType") != _PAYLOAD_TYPE:
        raise ValueError(f"signs no statement of type {_PAYLOAD_TYPE}")
    key = _key(value, material, envelope, data) if "publicKey" in material else None
    files, folder = _statement(_decoded(envelope.get("payload")))
    return Bundle(key, files, folder)


def _key(value: Json, material: Json, envelope: Json, data: bytes) -> str:
    """The key that is named, in a bundle that has no byte which nothing protects."""
    key, signatures = material["publicKey"], envelope.get("signatures")
    hint = key.get("hint") if isinstance(key, dict) else None
    if not _is_sha256(hint):
        raise ValueError("does not name its key by a SHA-256")
    one = isinstance(signatures, list) and len(signatures) == 1
    signature = signatures[0].get("sig") if one and isinstance(signatures[0], dict) else None
    _decoded(signature)
    plain = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": envelope.get("payload"),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": signature, "keyid": ""}],
        },
    }
    if value != plain:
        raise ValueError("holds more, or less, than a signature with a key")
    if data != json.dumps(value, separators=(",", ":")).encode():
        raise ValueError("is not spelled as it was written: something outside of its text changed")
    return str(hint)


def _decoded(text: Json) -> bytes:
    if not isinstance(text, str):
        raise ValueError("holds no signed statement")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("holds what is not base64") from None
    if base64.b64encode(data).decode() != text:  # the last character has bits that do not count
        raise ValueError("holds base64 with bits that mean nothing")
    return data


def _statement(payload: bytes) -> tuple[dict[str, str], str]:
    try:
        value = parse(payload)
    except ValueError as error:
        raise ValueError(f"signs a statement that {error}") from None
    try:
        (subject,) = value["subject"]
        kinds = (value["_type"], value["predicateType"])
        serialization = value["predicate"]["serialization"]
        rows = [(r["name"], r["algorithm"], r["digest"]) for r in value["predicate"]["resources"]]
        name = str(subject["name"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("signs no list of a model's files") from None
    if kinds != (_STATEMENT, _PREDICATE):
        raise ValueError(f"signs another kind of statement than {_PREDICATE}")
    if serialization != SERIALIZATION:
        left_out = serialization.get("ignore_paths") if isinstance(serialization, dict) else None
        told = f"leaves out {left_out}" if left_out != ["model.sig"] else f"is {serialization}"
        raise ValueError(f"signs the folder in another way: {told}")
    files = {str(path): str(digest) for path, _, digest in rows}
    if len(files) != len(rows) or any(a != "sha256" or not _is_sha256(d) for _, a, d in rows):
        raise ValueError("lists a file twice, or without its SHA-256")
    return files, name


def _is_sha256(text: Json) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= _HEX
