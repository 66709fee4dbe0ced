import subprocess

import pytest

from mlbuild.store.gitignore import ignore, tracked, unignore

PATHS = ["out/a", "out/b b", "out/[x]*?#!", "top"]


@pytest.fixture
def root(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "out").mkdir()
    return tmp_path


def ignored(root, path):
    (root / path).write_text("x")
    done = subprocess.run(["git", "-C", str(root), "check-ignore", "-q", path])
    return done.returncode == 0


def test_outputs_are_ignored_by_an_entry_beside_them(root):
    assert ignore(root, PATHS) == [root / "out/.gitignore", root / ".gitignore"]
    assert (root / "out/.gitignore").read_text() == "/a\n/b b\n/\\[x\\]\\*\\?\\#\\!\n"
    assert (root / ".gitignore").read_text() == "/top\n"
    assert all(ignored(root, path) for path in PATHS)
    assert not ignored(root, "out/x")


def test_what_is_ignored_already_gets_no_entry(root):
    (root / ".gitignore").write_text("/out/")
    assert ignore(root, ["out/a", "top"]) == [root / ".gitignore"]
    assert (root / ".gitignore").read_text() == "/out/\n/top\n"


def test_ignoring_twice_changes_nothing(root):
    ignore(root, PATHS)
    assert ignore(root, PATHS) == []


def test_entries_of_outputs_that_are_gone_are_taken_out(root):
    (root / ".gitignore").write_text("*.log\n")
    ignore(root, PATHS)
    unignore(root, PATHS)
    assert (root / ".gitignore").read_text() == "*.log\n"
    assert not (root / "out/.gitignore").exists()


def test_outside_git_nothing_is_written(tmp_path):
    assert ignore(tmp_path, PATHS) == []
    unignore(tmp_path, PATHS)
    assert not tracked(tmp_path, "out/a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_entries_are_those_that_dvc_writes(root):
    import sys

    ignore(root, PATHS)
    ours = [(root / f).read_text() for f in (".gitignore", "out/.gitignore")]
    for file in (".gitignore", "out/.gitignore"):
        (root / file).unlink()
    for path in PATHS:
        (root / path).write_text("x")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", *PATHS], cwd=root, check=True)
    assert [(root / f).read_text() for f in (".gitignore", "out/.gitignore")] == ours


def test_what_git_tracks_is_known(root):
    (root / "out/[a]").write_text("x")
    subprocess.run(["git", "-C", str(root), "add", "out"], check=True)
    assert tracked(root, "out/[a]")
    assert tracked(root, "out")
    assert not tracked(root, "out/a")
