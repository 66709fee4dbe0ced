"""Datasets in git repositories on this machine."""

import os
import subprocess
from pathlib import Path

import pytest

from mlbuild.errors import DataError, PipelineError


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self("init", "-q", "-b", "main")
        (path / "data" / "sub").mkdir(parents=True)
        self.write("data/a.txt", "one\r\n")
        self.write("data/sub/b.txt", "two")
        self.write(".hidden/c.txt", "three")
        self.write(".gitattributes", "*.txt text eol=lf\ndata/sub export-ignore\n")
        self.first = self.commit("first")

    def __call__(self, *arguments: str) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        argv = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "core.safecrlf=false"]
        done = subprocess.run(
            [*argv, *arguments], cwd=self.path, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, newline="")

    def commit(self, message: str) -> str:
        self("add", "-A")
        self("commit", "-q", "-m", message)
        return self("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "a repository")


def _files(path: Path) -> dict[str, str]:
    return {p.relative_to(path).as_posix(): p.read_text() for p in path.rglob("*") if p.is_file()}


def test_a_branch_is_frozen_to_its_commit(get, repository: Repository) -> None:
    got = get("git", repository.path.as_uri(), rev="main", path="data")
    assert _files(got.path) == {"a.txt": "one\n", "sub/b.txt": "two"}
    assert got.frozen["commit"] == repository.first
    repository.write("data/a.txt", "changed")
    second = repository.commit("second")
    assert get("git", repository.path.as_uri(), rev="main", path="data", frozen=got.frozen) == got
    new = get("git", repository.path.as_uri(), rev="main", path="data")
    assert new.frozen["commit"] == second
    assert _files(new.path)["a.txt"] == "changed"


def test_the_whole_tree_comes_without_git_s_own_folder(get, repository: Repository) -> None:
    repository("tag", "-a", "v1", "-m", "v1")
    got = get("git", str(repository.path), rev="v1")
    assert set(_files(got.path)) == {
        ".gitattributes", ".hidden/c.txt", "data/a.txt", "data/sub/b.txt"
    }  # fmt: skip
    assert got.frozen["commit"] == repository.first


def test_a_hidden_folder_and_a_single_file(get, repository: Repository) -> None:
    assert _files(get("git", str(repository.path), rev="main", path=".hidden").path) == {
        "c.txt": "three"
    }
    one = get("git", str(repository.path), rev="main", path="./data/sub/b.txt")
    assert (one.path.name, one.path.read_text()) == ("b.txt", "two")


def test_an_old_commit_is_found_though_no_branch_ends_there(get, repository: Repository) -> None:
    repository.write("data/a.txt", "changed")
    repository.commit("second")
    got = get("git", repository.path.as_uri(), rev=repository.first, path="data/a.txt")
    assert got.path.read_text() == "one\n"


def test_hooks_and_filters_of_the_user_do_not_run(
    get, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-merge"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    got = get("git", repository.path.as_uri(), rev="main", path="data/a.txt")
    assert got.path.read_bytes() == b"one\n"
    assert not (tmp_path / "ran").exists()


def test_a_submodule_is_left_out(get, repository: Repository, tmp_path: Path) -> None:
    Repository(tmp_path / "other")
    repository("-c", "protocol.file.allow=always", "submodule", "add", "-q", "../other", "data/m")
    repository.commit("with submodule")
    got = get("git", repository.path.as_uri(), rev="main", path="data")
    assert set(_files(got.path)) == {"a.txt", "sub/b.txt"}


@pytest.mark.parametrize(
    ("name", "target", "lines"),
    [
        (
            "link",
            "/etc/passwd",
            "dataset 'photos': the repository holds a link there\n"
            "  got: link -> /etc/passwd\n"
            "  hint: name what it points to with `path:`",
        ),
    ],
)
def test_a_link_is_refused(get, repository: Repository, name: str, target: str, lines: str) -> None:
    (repository.path / "data" / name).symlink_to(target)
    repository.commit("link")
    with pytest.raises(DataError) as caught:
        get("git", repository.path.as_uri(), rev="main", path="data")
    assert caught.value.render() == lines


def test_a_pointer_of_git_lfs_is_not_taken_for_data(get, repository: Repository) -> None:
    repository.write("data/w.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    repository.commit("lfs")
    with pytest.raises(DataError) as caught:
        get("git", repository.path.as_uri(), rev="main", path="data")
    assert caught.value.render() == (
        "dataset 'photos': w.bin is kept in git LFS, only a pointer is in the repository\n"
        "  hint: fetch the file itself with `url:` and its sha256"
    )


def test_an_unknown_revision_lists_those_there_are(get, repository: Repository) -> None:
    repository("tag", "v1")
    with pytest.raises(DataError) as caught:
        get("git", repository.path.as_uri(), rev="v2")
    assert caught.value.render() == (
        f"dataset 'photos': {repository.path.as_uri()} has no revision 'v2'\n"
        "  allowed: HEAD, main, v1"
    )


def test_an_unknown_path_lists_the_top(get, repository: Repository) -> None:
    with pytest.raises(DataError) as caught:
        get("git", repository.path.as_uri(), rev="main", path="dta")
    assert caught.value.render() == (
        f"dataset 'photos': {repository.path.as_uri()} has no 'dta' at {repository.first[:12]}\n"
        "  allowed: .gitattributes, .hidden, data"
    )


def test_a_short_commit_is_refused(get, repository: Repository) -> None:
    with pytest.raises(DataError) as caught:
        get("git", repository.path.as_uri(), rev=repository.first[:8])
    assert caught.value.render() == (
        f"dataset 'photos': a commit is given with all its digits\n  got: {repository.first[:8]}"
    )


def test_a_commit_that_does_not_exist_is_an_error(get, repository: Repository) -> None:
    with pytest.raises(DataError, match=f"does not give commit {'0' * 39}1"):
        get("git", repository.path.as_uri(), rev="0" * 39 + "1")


def test_a_repository_that_does_not_exist_is_an_error(get, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be read"):
        get("git", (tmp_path / "none").as_uri(), rev="main")


def test_offline_says_what_it_would_have_asked(get) -> None:
    with pytest.raises(DataError) as caught:
        get("git", "https://me:secret@example.org/x.git", rev="a" * 40, offline=True)
    assert caught.value.render() == (
        "dataset 'photos' is not in the cache and --offline forbids to fetch it\n"
        f"  got: git https://***@example.org/x.git at {'a' * 40}\n"
        "  hint: run once without --offline"
    )
    with pytest.raises(DataError) as caught:
        get("git", "https://example.org/x.git", rev="main", offline=True)
    assert caught.value.render() == (
        "dataset 'photos': --offline forbids to ask what 'main' is now\n"
        "  got: https://example.org/x.git\n"
        "  hint: run once without --offline"
    )


@pytest.mark.parametrize(
    ("location", "rev", "path", "why"),
    [
        ("--upload-pack=evil", "main", None, "no address of a repository"),
        ("ext::sh -c evil", "main", None, "no address of a repository"),
        ("x", "--output=evil", None, "no revision"),
        ("x", "a..b", None, "no revision"),
        ("x", "a:b", None, "no revision"),
        ("x", "main", "-evil", "no path inside the repository"),
        ("x", "main", "../evil", "no path inside the repository"),
        ("x", "main", "/evil", "no path inside the repository"),
        ("x", None, None, "a git repository needs the revision"),
    ],
)
def test_what_git_could_take_for_an_option_is_refused(
    get, location: str, rev: str | None, path: str | None, why: str
) -> None:
    with pytest.raises(PipelineError, match=f"dataset 'photos': {why}"):
        get("git", location, rev=rev, path=path)
