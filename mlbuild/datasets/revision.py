"""The revision of a dataset in a repository: what of it is known without asking."""

from __future__ import annotations

import re

from mlbuild.datasets.cached import Facts
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def known_commit(dataset: Dataset, frozen: Facts, *, forbidden: bool, shown: str) -> str | None:
    """The commit that was frozen, or that the file names in full; None where one must ask.

    Raises:
        DataError: one must, and ``forbidden`` says that --offline is on.
    """
    rev = str(dataset.options["rev"])
    if frozen.get("commit"):
        return str(frozen["commit"])
    if _COMMIT.fullmatch(rev):
        return rev
    if forbidden:
        what = f"dataset '{dataset.name}': --offline forbids to ask what '{rev}' is now"
        hint = "run once without --offline"
        raise DataError(Problem(what, dataset.place, got=shown, hint=hint))
    return None
