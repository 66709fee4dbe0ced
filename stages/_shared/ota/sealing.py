"""Encryption of files: AES-256-GCM in segments, keys by HKDF-SHA256 from one master key.

The key of a file follows from its bytes and from what it is bound to. Equal input gives equal
output, and no key and nonce ever meet two different messages: other bytes or another binding give
another key, and segments count in their nonces.
"""

from __future__ import annotations

import hashlib
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..problem.problem import Problem
from .keys import EncryptionKey

METHOD = "AES-256-GCM"
SEGMENT = 1 << 20  # bytes of plain text, so that a client needs little memory
_TAG, _KEY, _PREFIX = 16, 32, 8


def seal(data: bytes, key: EncryptionKey, context: bytes) -> tuple[bytes, bytes]:
    """The encrypted bytes, and the salt that opens them.

    Args:
        data: what is encrypted, already compressed.
        key: the master key.
        context: what it is bound to.
    """
    salt = hashlib.sha256(data).digest()
    cipher, prefix = _cipher(key, salt, context)
    pieces = [data[start : start + SEGMENT] for start in range(0, len(data), SEGMENT)] or [b""]
    last = len(pieces) - 1
    sealed = [
        cipher.encrypt(_nonce(prefix, i), piece, _bound(context, i, i == last))
        for i, piece in enumerate(pieces)
    ]
    return b"".join(sealed), salt


def unseal(sealed: bytes, key: EncryptionKey, salt: bytes, context: bytes) -> bytes:
    """What was encrypted.

    Raises:
        Problem: the key is another one, or a byte has changed.
    """
    cipher, prefix = _cipher(key, salt, context)
    size = SEGMENT + _TAG
    pieces = [sealed[start : start + size] for start in range(0, len(sealed), size)]
    last = len(pieces) - 1
    try:
        opened = [
            cipher.decrypt(_nonce(prefix, i), piece, _bound(context, i, i == last))
            for i, piece in enumerate(pieces)
        ]
    except InvalidTag:
        raise Problem("cannot be decrypted: the key is another one, or it was changed") from None
    return b"".join(opened)


def _cipher(key: EncryptionKey, salt: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    length = _KEY + _PREFIX
    derived = HKDF(algorithm=SHA256(), length=length, salt=salt, info=context).derive(key.secret)
    return AESGCM(derived[:_KEY]), derived[_KEY:]


def _nonce(prefix: bytes, index: int) -> bytes:
    return prefix + struct.pack(">I", index)


def _bound(context: bytes, index: int, last: bool) -> bytes:
    return context + struct.pack(">IB", index, last)
