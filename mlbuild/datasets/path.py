"""Datasets that lie on this machine: ``path: data/dogs``."""

from __future__ import annotations

from pathlib import Path

from mlbuild.errors import DataError, Problem, did_you_mean
from mlbuild.records import Dataset


class MissingPathData(DataError):  # noqa: N818 - what is missing is the name
    """The data is not there, but DVC tracks it: it can be pulled.

    ``dvc_file`` is the ``.dvc`` file that records it, ``path`` what is missing.
    """

    def __init__(self, problem: Problem, path: Path, dvc_file: Path) -> None:
        super().__init__(problem)
        self.path = path
        self.dvc_file = dvc_file


def resolve(dataset: Dataset, root: Path) -> Path:
    """Where the data lies.

    Raises:
        MissingPathData: it is missing and a ``.dvc`` file records it.
        DataError: it is missing.
    """
    path = root / Path(dataset.location).expanduser()
    if path.exists():
        return path
    tracked = _dvc_file(path, root)
    if tracked is not None:
        what = f"dataset '{dataset.name}': {dataset.location} has not been pulled"
        hint = f"run `dvc pull {_shown(tracked, root)}`, or mlbuild without --no-pull"
        raise MissingPathData(Problem(what, dataset.place, hint=hint), path, tracked)
    what = f"dataset '{dataset.name}': {dataset.location} does not exist"
    got = None
    if path.is_symlink():
        got = f"a link to {path.readlink()}, which does not exist"
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(Problem(what, dataset.place, got=got, hint=did_you_mean(path.name, siblings)))


def _dvc_file(path: Path, root: Path) -> Path | None:
    """The ``.dvc`` file of ``path`` or of a folder that holds it."""
    for level in (path, *path.parents):
        if level == root or not level.is_relative_to(root):
            break
        tracked = level.with_name(level.name + ".dvc")
        if tracked.is_file():
            return tracked
    beside = path.with_name(path.name + ".dvc")
    return beside if beside.is_file() else None


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
