"""Whom a signature is expected from: the holder of a key, or an identity that CI proved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import DataError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec


CURVES = ("secp256r1", "secp384r1", "secp521r1")  # that model-signing knows


@dataclass(frozen=True, slots=True)
class WithKey:
    """Signed by whoever holds the private key of this public one."""

    pem: bytes
    fingerprint: str
    origin: str  # "keys/release.pub", for messages


@dataclass(frozen=True, slots=True)
class WithIdentity:
    """Signed without a key, by a job whose identity an issuer vouched for."""

    identity: str
    issuer: str


Signer = WithKey | WithIdentity


def public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key of a file.

    Raises:
        DataError: it cannot be read, or is none that model-signing verifies with.
    """
    # Lazy: 60 ms that only signing and verifying need.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        data = path.read_bytes()
    except OSError as error:
        what = f"the public key {path} cannot be read: {error.strerror}"
        raise DataError(Problem(what)) from error
    if b"PRIVATE KEY" in data:
        what = f"{path} is a private key; whoever verifies needs the public one only"
        raise DataError(Problem(what, hint="name the file that ends in .pub, and hide this one"))
    try:
        key = serialization.load_pem_public_key(data)
    except Exception as error:  # of several kinds
        raise DataError(Problem(f"{path} is no public key in PEM")) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        what = f"{path} is of a type that model-signing does not know"
        raise DataError(Problem(what, got=type_of(key), allowed=CURVES))
    return key


def type_of(key: object) -> str:
    """What messages call the type of a key."""
    return str(getattr(getattr(key, "curve", None), "name", type(key).__name__.lstrip("_")))


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key's PEM, as model-signing writes it into a signature."""
    return hashlib.sha256(_pem(key)).hexdigest()


def with_key(key: ec.EllipticCurvePublicKey, origin: str) -> WithKey:
    """The holder of a key as the one who is expected to have signed."""
    return WithKey(_pem(key), fingerprint(key), origin)


@contextmanager
def readable(data: bytes) -> Iterator[str]:
    """A path that reads as these few bytes: model-signing wants a file, and no disk gets one."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as stream:
            stream.write(data)  # a key is far smaller than a pipe's buffer
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
