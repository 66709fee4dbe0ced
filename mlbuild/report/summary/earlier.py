"""A model as it was at a git revision: from git, through Git LFS, or by what DVC tracks there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.released import file_at, git
from mlbuild.report.summary.before import Revision

_POINTER = b"version https://git-lfs.github.com/spec/v1"
_PULL = "git lfs pull; in CI: check out with `lfs: true`"


def fetched(model: Path, at: Revision, folder: Path) -> Path | None:
    """Puts the model as it was into a folder.

    Args:
        model: where it lies now, in a git repository.
        at: the revision.
        folder: an empty one.

    Returns:
        Where it lies there; None: there was no such model.

    Raises:
        DataError: it was there, and its content cannot be had.
    """
    top = repository(model)
    path = os.path.relpath(model.parent.resolve() / model.name, top)
    target = folder / model.name
    found = list(_files(top, at.commit, path))
    for name in found:
        inside = os.path.relpath(name, path)
        to = target if inside == "." else target / inside
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(_content(top, at, name))
    if found:
        return target
    if _by_dvc(top, at.commit, path):
        _dvc_get(top, at, path, target)
        return target
    return None


def repository(model: Path) -> Path:
    """The top of the repository that a model lies in.

    Raises:
        DataError: it lies in none.
    """
    return Path(git(model.parent.resolve(), "rev-parse", "--show-toplevel").rstrip("\n"))


def refuse_pointers(model: Path) -> None:
    """Raises a DataError where Git LFS has left a note in place of a file's content."""
    files = [model] if model.is_file() else sorted(p for p in model.rglob("*") if p.is_file())
    for file in files:
        with file.open("rb") as stream:
            if stream.read(len(_POINTER)) == _POINTER:
                what = f"{file} is only Git LFS's pointer to its content"
                raise DataError(Problem(what, hint=_PULL))


def _files(top: Path, commit: str, path: str) -> Iterator[str]:
    """Every file at or below the path; links and other repositories are no part of a model."""
    rows = git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", path)
    for row in rows.split("\0"):
        facts, _, name = row.partition("\t")
        if facts.startswith("100"):
            yield name


def _content(top: Path, at: Revision, name: str) -> bytes:
    data = file_at(top, at.commit, name) or b""
    if not data.startswith(_POINTER):
        return data
    facts = dict(line.partition(" ")[::2] for line in data.decode("utf-8", "replace").splitlines())
    oid = facts.get("oid", "").removeprefix("sha256:")
    common = top / git(top, "rev-parse", "--git-common-dir").rstrip("\n")
    kept = common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    if oid.isalnum() and kept.is_file():
        return kept.read_bytes()
    smudge = ["git", "-C", os.fspath(top), "lfs", "smudge"]
    done = subprocess.run(smudge, input=data, capture_output=True, check=False)
    if done.returncode or done.stdout.startswith(_POINTER):
        problem = Problem(
            f"{name} at {at.label} is kept by Git LFS, and its content is not here",
            got=_last_line(done.stderr),
            hint="install git-lfs, then: git lfs fetch --all; or --against a model's path",
        )
        raise DataError(problem)
    return done.stdout


def _by_dvc(top: Path, commit: str, path: str) -> bool:
    """Whether a .dvc file of its own, or the dvc.lock of a folder above, tells of the path."""
    if file_at(top, commit, f"{path}.dvc") is not None:
        return True
    for above in Path(path).parents:
        lock = file_at(top, commit, (above / "dvc.lock").as_posix())
        inside = Path(path).relative_to(above).as_posix()
        if lock is not None and f"- path: {inside}\n".encode() in lock:
            return True
    return False


def _dvc_get(top: Path, at: Revision, path: str, target: Path) -> None:
    """From DVC's cache or its remote, as it was recorded at the commit."""
    # A process of its own: DVC takes half a second to import, and only these reports need it.
    dvc = [sys.executable, "-m", "dvc", "get", os.fspath(top), path, "--rev", at.commit]
    done = subprocess.run([*dvc, "-o", os.fspath(target)], capture_output=True, check=False)
    if done.returncode or not target.exists():
        problem = Problem(
            f"{path} at {at.label} is tracked by DVC, and its content cannot be had",
            got=_last_line(done.stderr),
            hint=f"dvc fetch it there, or dvc push it from where it was made (commit {at.commit})",
        )
        raise DataError(problem)


def _last_line(told: bytes) -> str | None:
    """What a program says of its failure; DVC adds an invitation to its chat."""
    lines = told.decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    found = errors or lines
    return found[-1] if found else None
