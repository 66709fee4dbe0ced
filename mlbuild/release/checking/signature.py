"""Whether the signature of a release is by whom it should be, and over exactly what lies there.

model-signing decides whether a signature is genuine; this file decides whose it must be and
whether it leaves nothing out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild.errors import Problem, UsageError
from mlbuild.release.checking.bundle import Bundle, read_bundle
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import Folder
from mlbuild.release.checking.keys import Signer, WithKey, readable

SIGNATURE = "model.sig"
SIGSTORE_CLIENT = "sigstore"  # the audience of identity tokens that Sigstore accepts
_SHOWN = 5
_AGAIN = "get the release again from where it was published; if it is the same, do not use it"


@dataclass(frozen=True, slots=True)
class Signed:
    """What is known of a signature."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    by: str | None = None  # who signed, proven


def check_signature(folder: Folder, expected: Signer | None, *, must: bool = False) -> Signed:
    """Checks model.sig.

    Args:
        folder: what lies there.
        expected: who must have signed; None: nobody in particular, so that nothing is proven.
        must: whether an unsigned release is wrong although nobody's signature is expected.
    """
    if SIGNATURE not in folder.files:
        return _unsigned(expected, must)
    try:
        bundle = read_bundle(folder.document(SIGNATURE))
    except ValueError as error:
        return Signed((_finding(str(error)),))
    contents = tuple(_contents(folder, bundle))
    if expected is None:
        return _by_nobody(bundle, contents)
    wrong = _by_another(expected, bundle) or _not_genuine(folder, expected, bool(contents))
    if wrong:
        return Signed((wrong, *contents))
    by = expected.origin if isinstance(expected, WithKey) else expected.identity
    return Signed(contents, by=None if contents else by)


def model_signing() -> Any:
    """The library; imported when something is signed or verified: it is optional and takes 0.6 s.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import model_signing as found
        import model_signing.hashing
        import model_signing.signing
        import model_signing.verifying
    except ImportError as error:
        what = "signatures need the package model-signing, which is not installed"
        hint = "pip install 'mlbuild-pipelines[release]'"
        raise UsageError(Problem(what, got=str(error), hint=hint)) from error
    return found


def whole_folder() -> Any:
    """How a folder is hashed: all of it but the signature, files of git too, no link followed."""
    config = model_signing().hashing.Config()
    config.use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    return config.set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _unsigned(expected: Signer | None, must: bool) -> Signed:
    if expected is None and not must:
        note = (
            "not signed: whoever can change the folder can change all of it, its digests included"
        )
        return Signed(notes=(note,))
    whom = f"a signature {_by(expected)}" if expected else "a signature"
    what = "the release is not signed, or its signature was taken away"
    return Signed((_finding(what, whom, f"no {SIGNATURE}"),))


def _by_nobody(bundle: Bundle, contents: tuple[Finding, ...]) -> Signed:
    whose = f"the key {bundle.key}" if bundle.key else "an identity of CI"
    what = f"signed with {whose}; nobody said whose signature to expect, so it proves nothing"
    remedy = "name the public key (--key), or --identity and --issuer"
    return Signed(contents, notes=(f"{what}: {remedy}",))


def _by(expected: Signer) -> str:
    if isinstance(expected, WithKey):
        return f"with the key of {expected.origin}"
    return f"of {expected.identity}, for whom {expected.issuer} vouches"


def _by_another(expected: Signer, bundle: Bundle) -> Finding | None:
    """Whether it says itself that somebody else made it."""
    wanted = expected.fingerprint if isinstance(expected, WithKey) else None
    if wanted == bundle.key:
        return None
    was, now = (f"the key {k}" if k else "an identity of CI, no key" for k in (wanted, bundle.key))
    remedy = (
        "if the key was exchanged since, verify with the old one: git show TAG:PATH > old.pub; "
        "otherwise somebody else signed this"
    )
    return _finding("the release was signed by somebody else", was, now, remedy)


def _not_genuine(folder: Folder, expected: Signer, contents_differ: bool) -> Finding | None:
    """Asks model-signing, which hashes the folder itself."""
    from cryptography.exceptions import InvalidSignature  # lazy: only signatures need it

    try:
        with _verifier(expected) as config:
            config.set_hashing_config(whole_folder())
            config.verify(folder.path, folder.path / SIGNATURE)
    except UsageError:  # model-signing is not there
        raise
    except InvalidSignature:
        what = "the signature is forged, or was changed: the key did not sign this statement"
        return _finding(what, f"a signature {_by(expected)}")
    except Exception as error:  # of many kinds: this is a parser at work on an attacker's text
        if contents_differ and isinstance(error, ValueError):
            return None  # that is told better: which files
        what = f"the signature does not hold: {str(error) or type(error).__name__}"
        return _finding(what, f"a signature {_by(expected)}")
    return None


@contextmanager
def _verifier(expected: Signer) -> Iterator[Any]:
    config = model_signing().verifying.Config()
    if isinstance(expected, WithKey):
        with readable(expected.pem) as path:
            config.use_elliptic_key_verifier(public_key=path)
        yield config
        return
    with readable(_sigstore_roots()) as path:
        config.use_sigstore_verifier(
            identity=expected.identity, oidc_issuer=expected.issuer, trust_config=Path(path)
        )
    yield config


def _sigstore_roots() -> bytes:
    """Sigstore's certificate authorities and logs: those last fetched, else those that it ships."""
    from sigstore.models import ClientTrustConfig  # lazy: optional, 0.3 s

    logging.getLogger("sigstore").setLevel(logging.ERROR)  # "offline mode" is what we want
    found = ClientTrustConfig.production(offline=True)
    return str(found._inner.to_json()).encode()  # it has no public way out


def _contents(folder: Folder, bundle: Bundle) -> Iterator[Finding]:
    """Files that are not those which were signed."""
    here = {path: seen.sha256 for path, seen in folder.files.items() if path != SIGNATURE}
    here |= dict.fromkeys(folder.strange, "no file")
    odd = [
        path for path in sorted({*here, *bundle.files}) if here.get(path) != bundle.files.get(path)
    ]
    if odd:
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        what = f"the signature is over other files than lie here: {', '.join(odd[:_SHOWN])}{more}"
        signed = f"what was signed as {json.dumps(bundle.folder)}"
        yield _finding(what, signed, f"{len(odd)} of {len({*here, *bundle.files})} files differ")


def _finding(
    what: str, expected: str | None = None, found: str | None = None, remedy: str = _AGAIN
) -> Finding:
    return Finding(About.SIGNATURE, SIGNATURE, what, expected, found, remedy)
