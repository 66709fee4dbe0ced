"""Signs a release folder with OpenSSF model-signing: everything in it but the signature itself.

With a key pair nothing leaves the machine; keyless signing exchanges the identity token of a CI job
for a certificate of some minutes (https://www.sigstore.dev). A private key never appears in a file
that we write, a log or an error: neither it nor the value of the variable that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbuild.errors import DataError, Problem, UsageError
from mlbuild.records import Json
from mlbuild.release.checking.folder import look
from mlbuild.release.checking.keys import (
    CURVES,
    fingerprint,
    public_key,
    readable,
    type_of,
    with_key,
)
from mlbuild.release.checking.signature import (
    SIGNATURE,
    SIGSTORE_CLIENT,
    check_signature,
    model_signing,
    whole_folder,
)
from mlbuild.released import git_process

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_PEM = "-----BEGIN"


def new_key(private: Path, public: Path) -> None:
    """Makes a key pair (NIST P-256, PEM): the public key belongs into git, the private one not.

    Raises:
        DataError: one of the files is there already, or cannot be written.
    """
    # Lazy, here and below: 60 ms that only signing and verifying need.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    for path in (private, public):
        if os.path.lexists(path):
            hint = "name another file, or move it away: without it nothing it signed can be renewed"
            raise DataError(Problem(f"{path} is there already; a key is never replaced", hint=hint))
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_new(private, secret, 0o600)
    try:
        _write_new(public, with_key(key.public_key(), "").pem, 0o644)
    except DataError:
        private.unlink()  # half of a pair is of no use, and would stand in the way
        raise


def sign(
    folder: Path,
    spec: Mapping[str, Json],
    environ: Mapping[str, str],
    project_root: Path,
) -> Path | None:
    """Signs a release folder.

    A signature that is there already and holds is kept: publishing again sends the same bytes.

    Args:
        folder: of the release, complete.
        spec: ``release: sign:`` of the pipeline file; empty: nothing is signed.
        environ: where ``key_env`` is looked up.
        project_root: what paths of the spec are relative to.

    Returns:
        The signature's file; None if nothing is to be signed.

    Raises:
        UsageError: no key, or no identity, is at hand, or model-signing is not installed.
        DataError: what is at hand cannot be used.
    """
    if not spec:
        return None
    model_signing()
    signature = folder / SIGNATURE
    if spec.get("keyless"):
        return _sign_keyless(folder, signature)
    secret, origin = _secret(spec, environ, project_root)
    key = _private_key(secret, origin)
    if public := spec.get("public_key"):
        _refuse_other(key, project_root / str(public), origin)
    if signature.exists() and _still_holds(folder, key):
        return signature
    with readable(secret) as path:
        config = model_signing().signing.Config().use_elliptic_key_signer(private_key=path)
    _write(config, folder, signature)
    return signature


# --- with a key ---------------------------------------------------------------------------------


def _secret(spec: Mapping[str, Json], environ: Mapping[str, str], root: Path) -> tuple[bytes, str]:
    """The private key's text, and what messages call it."""
    name = spec.get("key_env")
    if name and (value := environ.get(str(name), "").strip()):
        if value.startswith(_PEM):
            # Some CI services keep a line break of a secret as the two characters '\n'.
            return value.replace("\\n", "\n").encode() + b"\n", f"the key in {name}"
        return _read(root, value, f"the key that {name} names", secret=True), f"the key in {name}"
    if path := spec.get("key"):
        return _read(root, str(path), f"the key {path}", secret=False), f"the key {path}"
    if name:
        what = f"there is no key to sign with: {name} is not set"
        hint = f"set {name} to the private key (PEM) or to its path"
        raise UsageError(Problem(what, hint=hint))
    hint = "name one in `release: sign:`: key_env, key, or keyless: true"
    raise UsageError(Problem("there is no key to sign with", hint=hint))


def _read(root: Path, path: str, what: str, *, secret: bool) -> bytes:
    """A key's file. Where the path may itself be a key that is no PEM, it is not told."""
    try:
        data = (root / path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        hint = "it must be a private key (PEM), or the path of one" if secret else None
        raise DataError(Problem(f"{what} cannot be read: {why}", hint=hint)) from None
    if git_process(root, ["ls-files", "--error-unmatch", "--", path]).returncode == 0:
        hint = "make a new pair (this one is known to all), and let .gitignore name it"
        raise DataError(Problem(f"{what} is in git: whoever has a clone can sign", hint=hint))
    return data


def _private_key(secret: bytes, origin: str) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    hint = "mlbuild makes key pairs that fit: mlbuild release PIPELINE --new-key keys/release"
    try:
        key = serialization.load_pem_private_key(secret, None)
    except TypeError:
        what = f"{origin} is encrypted with a password"
        raise DataError(Problem(what, hint="decrypt it, or let CI keep it as a secret")) from None
    except Exception:  # of several kinds; the cause might show parts of the key
        raise DataError(Problem(f"{origin} is no private key in PEM", hint=hint)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        what = f"{origin} is of a type that model-signing does not sign with"
        raise DataError(Problem(what, got=type_of(key), allowed=CURVES, hint=hint))
    return key


def _refuse_other(key: ec.EllipticCurvePrivateKey, public: Path, origin: str) -> None:
    expected, found = public_key(public), key.public_key()
    if fingerprint(expected) != fingerprint(found):
        what = f"{origin} does not belong to {public}: nobody could verify what it signs"
        hint = "sign with the key of that pair, or commit the new public key first"
        raise DataError(Problem(what, hint=hint))


def _still_holds(folder: Path, key: ec.EllipticCurvePrivateKey) -> bool:
    return not check_signature(look(folder), with_key(key.public_key(), "the key")).findings


# --- without one --------------------------------------------------------------------------------


def _sign_keyless(folder: Path, signature: Path) -> Path:
    token = _identity_token()
    try:
        config = model_signing().signing.Config().use_sigstore_signer(identity_token=token)
        _write(config, folder, signature)
    except (DataError, UsageError):
        raise
    except Exception as error:  # whatever sigstore, its network and its servers raise
        what = f"keyless signing failed: {type(error).__name__}: {_without(token, str(error))}"
        hint = "it needs the network (Sigstore's certificate authority and its log); try again"
        raise DataError(Problem(what, hint=hint)) from None
    return signature


def _identity_token() -> str:
    from sigstore.oidc import IdentityError, detect_credential  # lazy: optional, 0.3 s

    hint = (
        "GitHub: `permissions: {id-token: write}`; GitLab: `id_tokens: {SIGSTORE_ID_TOKEN: "
        "{aud: sigstore}}`. Elsewhere sign with a key pair: key_env"
    )
    try:
        token = detect_credential(SIGSTORE_CLIENT)
    except IdentityError as error:
        what = f"this CI job gives no identity to sign with: {error}"
        raise UsageError(Problem(what, hint=hint)) from error
    if not token:
        what = "keyless signing needs the identity of a CI job, and there is none here"
        raise UsageError(Problem(what, hint=hint))
    return str(token)


def _without(secret: str, text: str) -> str:
    return text.replace(secret, "***")


# --- writing ------------------------------------------------------------------------------------


def _write(config: Any, folder: Path, signature: Path) -> None:
    """Signs what lies in the folder; the signature appears whole or not at all."""
    scratch = folder / f".{SIGNATURE}.new"
    scratch.unlink(missing_ok=True)  # of one that was killed: it must not be signed
    config.set_hashing_config(whole_folder())
    try:
        try:
            config.sign(folder, scratch)
        except ValueError as error:  # a link, a pipe
            what = f"{folder} cannot be signed: {error}"
            hint = "a release holds plain files only"
            raise DataError(Problem(what, hint=hint)) from error
        scratch.replace(signature)
    except OSError as error:
        raise DataError(f"{signature} cannot be written: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)  # whatever the umask
            stream.write(data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
