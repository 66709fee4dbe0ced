"""Datasets: a path, a distribution, an address or a git repository, as files on this machine."""

from mlbuild.datasets.fetching import Fetched, fetch
from mlbuild.datasets.options import OPTIONS, identity
from mlbuild.datasets.path import MissingPathData

__all__ = ["OPTIONS", "Fetched", "MissingPathData", "fetch", "identity"]
