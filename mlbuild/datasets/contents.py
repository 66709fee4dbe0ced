"""Which members of an archive or a tree become the dataset, and where."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.datasets.picking import check_glob, nearby, pick
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset


def place(dataset: Dataset, names: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Applies the dataset's ``files``.

    Args:
        dataset: without ``files``, everything is taken.
        names: what a glob sees -> the member's own name.

    Returns:
        Member -> path in the dataset's folder, and the path of the single file that was named.

    Raises:
        DataError: nothing matches.
    """
    if dataset.options.get("files") is None:
        return {member: seen for seen, member in names.items()}, None
    glob = check_glob(dataset.name, dataset.options["files"], dataset.place)
    picked = pick(names.keys(), glob)
    if not picked.places:
        what = f"dataset '{dataset.name}': nothing in {dataset.location} matches {glob}"
        around = nearby(names.keys(), glob)
        raise DataError(Problem(what, dataset.place, allowed=around, hint="look at the names"))
    return {names[seen]: path for seen, path in picked.places.items()}, picked.single
