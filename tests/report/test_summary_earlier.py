"""A model as it was: from git, through Git LFS, by DVC; and clear words where it cannot be had."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.report.summary.before import Revision, revision
from mlbuild.report.summary.earlier import fetched, refuse_pointers

MODEL = "models/the dogs.mlpackage"


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def dvc(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments, "-q"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    write(root, b"old weights")
    return root


def write(root: Path, weights: bytes) -> None:
    data = root / MODEL / "Data/com.apple.CoreML"
    data.mkdir(parents=True, exist_ok=True)
    (data / "model.mlmodel").write_bytes(b"spec\0")
    (data / "weight.bin").write_bytes(weights)


def commit(root: Path) -> Revision:
    git(root, "add", "-A", ".")
    git(root, "commit", "-q", "-m", "x")
    return Revision("main", git(root, "rev-parse", "HEAD"))


def earlier(root: Path, at: Revision, tmp_path: Path) -> Path | None:
    folder = tmp_path / "out"
    folder.mkdir()
    return fetched(root / MODEL, at, folder)


def contents(model: Path | None) -> dict[str, bytes]:
    assert model is not None
    files = (p for p in model.rglob("*") if p.is_file())
    return {p.relative_to(model).as_posix(): p.read_bytes() for p in files}


WAS = {
    "Data/com.apple.CoreML/model.mlmodel": b"spec\0",
    "Data/com.apple.CoreML/weight.bin": b"old weights",
}


def pointer(data: bytes) -> bytes:
    """As Git LFS's specification has it."""
    oid = hashlib.sha256(data).hexdigest()
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()
    )


def test_a_model_in_git_comes_back_byte_by_byte(root: Path, tmp_path: Path) -> None:
    at = commit(root)
    write(root, b"new weights")
    assert contents(earlier(root, at, tmp_path)) == WAS


def test_a_model_of_one_file_comes_back(root: Path, tmp_path: Path) -> None:
    (root / "a.mlmodel").write_bytes(b"one")
    at = commit(root)
    (root / "a.mlmodel").write_bytes(b"two")
    found = fetched(root / "a.mlmodel", at, tmp_path)
    assert found is not None
    assert found.read_bytes() == b"one"


def test_a_model_that_was_not_there_is_none(root: Path, tmp_path: Path) -> None:
    (root / MODEL).rename(root / "elsewhere")
    at = commit(root)
    (root / "elsewhere").rename(root / MODEL)
    assert earlier(root, at, tmp_path) is None


def test_a_link_in_a_model_leads_nowhere(root: Path, tmp_path: Path) -> None:
    (root / MODEL / "Data/secrets").symlink_to("/etc/passwd")
    assert contents(earlier(root, commit(root), tmp_path)) == WAS


def test_lfs_content_is_read_where_git_lfs_keeps_it(root: Path, tmp_path: Path) -> None:
    write(root, pointer(b"old weights"))
    at = commit(root)
    oid = hashlib.sha256(b"old weights").hexdigest()
    kept = root / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"old weights")
    assert contents(earlier(root, at, tmp_path)) == WAS


def test_lfs_content_that_is_not_here_is_named(root: Path, tmp_path: Path) -> None:
    write(root, pointer(b"old weights"))
    at = commit(root)
    with pytest.raises(DataError) as caught:
        earlier(root, at, tmp_path)
    told = caught.value.render()
    weights = f"{MODEL}/Data/com.apple.CoreML/weight.bin at main"
    assert told.startswith(f"{weights} is kept by Git LFS, and its content is not here\n")
    assert told.endswith(
        "hint: install git-lfs, then: git lfs fetch --all; or --against a model's path"
    )


def test_a_pointer_in_the_checkout_is_refused(root: Path) -> None:
    write(root, pointer(b"weights"))
    with pytest.raises(DataError) as caught:
        refuse_pointers(root / MODEL)
    file = root / MODEL / "Data/com.apple.CoreML/weight.bin"
    assert caught.value.render() == (
        f"{file} is only Git LFS's pointer to its content\n"
        "  hint: git lfs pull; in CI: check out with `lfs: true`"
    )


def test_a_whole_model_is_no_pointer(root: Path) -> None:
    refuse_pointers(root / MODEL)


@pytest.fixture
def tracked(root: Path) -> Revision:
    """The model is DVC's, and has changed since."""
    dvc(root, "init")
    dvc(root, "add", MODEL)
    at = commit(root)
    write(root, b"new weights")
    return at


@pytest.mark.slow
def test_a_model_that_dvc_tracks_comes_from_its_cache(
    root: Path, tracked: Revision, tmp_path: Path
) -> None:
    assert f"{MODEL}/" not in git(root, "ls-files")
    assert contents(earlier(root, tracked, tmp_path)) == WAS


@pytest.mark.slow
def test_what_dvc_no_longer_has_is_named(root: Path, tracked: Revision, tmp_path: Path) -> None:
    for file in (root / ".dvc/cache").rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(DataError) as caught:
        earlier(root, tracked, tmp_path)
    told = caught.value.render()
    assert told.startswith(
        f"{MODEL} at main is tracked by DVC, and its content cannot be had\n  got: ERROR: "
    )
    assert f"(commit {tracked.commit})" in told


def test_an_option_is_no_revision(root: Path) -> None:
    commit(root)
    with pytest.raises(Exception, match="--against --all: git knows no such revision here"):
        revision(root, "--all")
