"""Key pairs for tests; made once, since no test depends on which."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mlbuild.release.signing import new_key


@cache
def pair(who: str = "team") -> tuple[str, bytes]:
    """The private key as text and the public one as bytes, of somebody."""
    with TemporaryDirectory() as folder:
        private, public = Path(folder) / who, Path(folder) / f"{who}.pub"
        new_key(private, public)
        return private.read_text(), public.read_bytes()
