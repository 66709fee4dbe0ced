"""Where the source of a release is to be found."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from mlbuild.released import git


def repository(root: Path) -> str | None:
    """The address of `origin` as a browser takes it, the same for every way to clone it; None for a
    folder of this machine.
    """
    if "origin" not in git(root, "remote").split():
        return None
    return browsable(git(root, "remote", "get-url", "origin").strip())


def browsable(address: str) -> str | None:
    """`https://host/path` for any address of a repository on a server."""
    short = re.fullmatch(r"(?:[^@/]+@)?([^:/]+):([^/].*)", address)  # user@host:path
    if short:
        return f"https://{short[1]}/{short[2].removesuffix('.git')}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "ssh", "git") or not parts.hostname:
        return None
    scheme = "http" if parts.scheme == "http" else "https"
    port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    return f"{scheme}://{parts.hostname}{port}{parts.path.removesuffix('.git')}"
