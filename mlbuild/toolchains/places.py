"""Where mlbuild keeps what projects share: toolchains and downloaded data."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder: ``MLBUILD_CACHE_DIR``, else ``mlbuild`` in the XDG cache folder."""
    own = os.environ.get("MLBUILD_CACHE_DIR")
    if own:
        return Path(own).expanduser().absolute()
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path here is to be ignored.
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".cache"
    return base / "mlbuild"
