"""Keys of a stage: they come from environment variables and go nowhere else."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ..problem.problem import Problem
from .wire import TAG, sha256

_SIZE = 32  # bytes of an Ed25519 key, private or public, and of an AES-256 key


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key; what it is never shows."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The 32 bytes that a client pins."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def line(self, manifest: bytes) -> str:
        """Its line in bundle.sig."""
        signature = base64.b64encode(self._key.sign(TAG + b"\n" + manifest)).decode()
        return f"ed25519 {key_id(self.public)} {signature}\n"


@dataclass(frozen=True)
class EncryptionKey:
    """The key that all keys of files are derived from; what it is never shows."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """By which a client knows which of its keys is meant."""
        derived = HKDF(algorithm=SHA256(), length=8, salt=None, info=TAG + b" key")
        return derived.derive(self.secret).hex()


def key_id(public: bytes) -> str:
    """By which a signature tells whose it is."""
    return sha256(public)[:16]


def is_signed(signatures: str, manifest: bytes, pinned: Sequence[bytes]) -> bool:
    """Whether a client with these keys would take a bundle's signatures."""
    keys = {key_id(public): Ed25519PublicKey.from_public_bytes(public) for public in pinned}
    for line in signatures.splitlines():
        words = line.split(" ")
        if len(words) != 3 or words[0] != "ed25519" or words[1] not in keys:
            continue
        try:
            keys[words[1]].verify(base64.b64decode(words[2], None, True), TAG + b"\n" + manifest)
        except (InvalidSignature, binascii.Error):
            continue
        return True
    return False


def signing_keys(names: Sequence[str], environ: Mapping[str, str]) -> list[SigningKey]:
    """Keys in the order named.

    Raises:
        Problem: one is not there, is none, or is there twice.
    """
    if not names:
        raise Problem("signing_keys: a bundle without a signature is refused by every client")
    keys = [SigningKey(_signing(name, _value("signing_keys", name, environ))) for name in names]
    if len({key.public for key in keys}) < len(keys):
        raise Problem("signing_keys: two variables hold the same key")
    return keys


def encryption_key(name: str | None, environ: Mapping[str, str]) -> EncryptionKey | None:
    """The key for files; None where they are not encrypted.

    Raises:
        Problem: it is not there, or is none.
    """
    if name is None:
        return None
    raw = _raw(_value("encryption_key", name, environ))
    if raw is None:
        raise Problem(
            f"encryption_key: what {name} holds is no key of 32 bytes in base64 or hex",
            hint="make one with: openssl rand -base64 32",
        )
    return EncryptionKey(raw)


def public_keys(given: Sequence[str], keys: Sequence[SigningKey]) -> list[bytes]:
    """What the client pins: all keys given, or else those that sign.

    Raises:
        Problem: one is none, or the client would refuse the bundle that it comes with.
    """
    own = [key.public for key in keys]
    pinned: list[bytes] = []
    for text in given:
        raw = _raw(text)
        if raw is None:
            raise Problem(f"public_keys: {text!r} is no Ed25519 key of 32 bytes in base64")
        pinned.append(raw)
    if pinned and not set(pinned) & set(own):
        ids = ", ".join(key_id(public) for public in own)
        raise Problem(
            f"public_keys: none is that of the signing key {ids}, so that no client would take "
            "the bundle",
            hint=f"add {base64.b64encode(own[0]).decode()}, or sign with the other key",
        )
    return list(dict.fromkeys(pinned or own))


def _value(parameter: str, name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise Problem(
            f"{parameter}: the environment variable {name} is not set",
            hint=f"add `secrets: [{name}]` to the stage and set it where mlbuild runs",
        )
    return value


def _signing(name: str, value: str) -> Ed25519PrivateKey:
    # No cause is chained and no part of the value is told: the text of an error is shown.
    problem = Problem(
        f"signing_keys: what {name} holds is no Ed25519 private key",
        hint="PEM without a password, or its 32 bytes in base64: "
        "openssl genpkey -algorithm ed25519",
    )
    if value.startswith("-----BEGIN"):
        try:
            key = load_pem_private_key(value.replace("\\n", "\n").encode(), password=None)
        except Exception:  # whatever the library says may quote the key
            raise problem from None
        if not isinstance(key, Ed25519PrivateKey):
            raise problem
        return key
    raw = _raw(value)
    if raw is None:
        raise problem
    return Ed25519PrivateKey.from_private_bytes(raw)


def _raw(text: str) -> bytes | None:
    """32 bytes of base64 or hex."""
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * _SIZE else base64.b64decode(text, None, True)
    except (ValueError, binascii.Error):
        return None
    return raw if len(raw) == _SIZE else None
