"""Datasets: a path, a distribution, an address, a repository, as files on this machine.

Names are resolved on first use: a build that fetches nothing needs none of them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlbuild.datasets.fetching import Fetched, fetch
    from mlbuild.datasets.options import OPTIONS, identity
    from mlbuild.datasets.path import MissingPathData

__all__ = ["OPTIONS", "Fetched", "MissingPathData", "fetch", "identity"]
_HOMES = {
    "Fetched": "fetching",
    "MissingPathData": "path",
    "OPTIONS": "options",
    "fetch": "fetching",
    "identity": "options",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # lazy: see above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
