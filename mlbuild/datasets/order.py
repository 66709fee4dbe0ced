"""What a source is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlbuild.datasets.cached import Facts
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset, Progress


@dataclass(frozen=True, slots=True)
class Order:
    """One dataset to be fetched."""

    dataset: Dataset
    root: Path  # of the project
    content: Path  # an empty folder for the data
    downloads: Path  # a folder for what arrives; kept after a failure
    frozen: Facts  # what was true the last time; maybe empty
    offline: bool
    progress: Progress

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"dataset '{self.dataset.name}'"

    def forbidden(self, source: str) -> DataError:
        """The error of a dataset that only the network has."""
        what = f"{self.label} is not in the cache and --offline forbids to fetch it"
        hint = "run once without --offline"
        return DataError(Problem(what, self.dataset.place, got=source, hint=hint))
