"""Addresses of indexes and data: which are on this machine, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s'\"]+@")


def redact_address(text: str) -> str:
    """``text`` with user names and passwords taken out of every address in it."""
    return _USERINFO.sub(r"\g<scheme>***@", text)


def local_path(address: str) -> Path | None:
    """The path that an address means, or None for one on the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in address else Path(address)
