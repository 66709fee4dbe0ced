"""A model hub's repository as a folder, with and without git."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import tree, write_files, write_release

Open = Callable[..., Publisher]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def publisher(tmp_path: Path) -> Open:
    def make(**more: object) -> Publisher:
        return open_publishers([{"hub": "hub", **more}], tmp_path, {})[0]

    return make


@pytest.fixture
def repository(hub: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "ci")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ci@example.com")
    hub.mkdir()
    _git(hub, "init", "-q", ".")
    (hub / ".gitattributes").write_text("*.bin -text\n")
    _git(hub, "add", "-A")
    _git(hub, "commit", "-q", "-m", "first")
    return hub


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def _publish(place: Publisher, release: Bundle) -> None:
    place.stage(release)
    place.reveal(release)


def test_the_folder_is_the_release_with_the_card_at_its_top(
    publisher: Open, release: Bundle, hub: Path
) -> None:
    assert publisher().check(release) is None
    assert not hub.exists()
    publisher().stage(release)
    assert [p.name for p in hub.iterdir()] == [".mlbuild-staged"]
    assert publisher().reveal(release) == str(hub)
    assert tree(hub) == tree(release.folder)


def test_the_next_version_takes_the_place_of_the_one_before(
    publisher: Open, release: Bundle, hub: Path, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    (hub / "config.json").write_text("{}")  # the owner's own
    files = {"README.md": b"# 1.3\n", "artifacts/model/Dogs.mlmodel": b"one file now"}
    following = write_files(tmp_path / "next", files, "1.3.0", signature=None)
    _publish(publisher(), following)
    assert tree(hub) == {**tree(following.folder), "config.json": b"{}"}
    assert not (hub / "artifacts/bundle").exists()


def test_a_folder_gives_way_to_a_file_of_its_name(
    publisher: Open, release: Bundle, hub: Path, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    following = write_files(tmp_path / "next", {"artifacts/model": b"a file"}, "1.3.0")
    _publish(publisher(), following)
    assert tree(hub) == tree(following.folder)


def test_doing_it_all_again_changes_nothing(publisher: Open, release: Bundle, hub: Path) -> None:
    _publish(publisher(), release)
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in hub.rglob("*")}
    _publish(publisher(), release)
    assert publisher().check(release) is None
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in hub.rglob("*")} == before


def test_an_interrupted_exchange_is_finished(
    publisher: Open, release: Bundle, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(publisher(), release)
    following = write_release(tmp_path / "next", "1.3.0", README_md=b"# 1.3\n", card_html=None)
    publisher().stage(following)
    real = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target.name == "manifest.json":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        publisher().reveal(following)
    monkeypatch.setattr(Path, "replace", real)
    _publish(publisher(), following)
    assert tree(hub) == tree(following.folder)


def test_the_same_version_with_other_bytes_is_refused_and_left_alone(
    publisher: Open, release: Bundle, hub: Path, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    before = tree(hub)
    other = write_release(tmp_path / "other", NOTES_md=b"other\n")
    message = (
        "hub hub: dogs 1.2.0 is published there with other bytes: NOTES.md: "
        "it is missing there or differs\n"
        "  hint: a published version never changes: release a new one"
    )
    assert publisher().check(other) == message
    with pytest.raises(PublishError) as caught:
        publisher().stage(other)
    assert caught.value.render() == message
    assert tree(hub) == before


def test_an_older_version_does_not_take_the_place_of_a_newer_one(
    publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    assert publisher().check(write_release(tmp_path / "old", "1.1.9")) == (
        "hub hub: the folder holds a newer version, and can hold only one\n"
        "  got: 1.1.9\n  allowed: > 1.2.0"
    )


def test_the_folder_of_another_model_is_refused(
    publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    assert publisher().check(write_release(tmp_path / "cats", name="cats")) == (
        "hub hub: the folder belongs to another model\n  got: dogs\n  allowed: cats"
    )


def test_a_manifest_that_names_files_elsewhere_deletes_none(
    publisher: Open, release: Bundle, hub: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    hub.mkdir()
    (hub / "manifest.json").write_text(
        '{"name": "dogs", "release": "1.0.0", "files": [{"path": "../victim"}]}'
    )
    publisher().stage(release)
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == "hub hub: its manifest.json names files outside: ../victim"
    assert victim.exists()


def test_what_was_not_staged_is_not_revealed(publisher: Open, release: Bundle, hub: Path) -> None:
    hub.mkdir()
    with pytest.raises(PublishError, match=r"not staged: NOTES\.md is missing"):
        publisher().reveal(release)
    assert tree(hub) == {}


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    unwritten = Bundle(tmp_path / "no", "dogs", "1.2.0", release.tag, release.commit, "")
    assert publisher().check(unwritten) is None
    _publish(publisher(), release)
    assert publisher().check(unwritten) == "hub hub: dogs 1.2.0 is there already"


@pytest.mark.parametrize("said", ["{}", "no JSON", '{"name": "dogs", "release": "1.0.0"}'])
def test_a_manifest_of_something_else_stands_in_the_way(
    publisher: Open, release: Bundle, hub: Path, said: str
) -> None:
    hub.mkdir()
    (hub / "manifest.json").write_text(said)
    with pytest.raises(PublishError) as caught:
        _publish(publisher(), release)
    assert caught.value.render() == "hub hub: its manifest.json is of no release"


# --- with git -----------------------------------------------------------------------------------


def test_with_git_a_version_is_a_commit_and_a_tag(
    publisher: Open, release: Bundle, repository: Path, tmp_path: Path
) -> None:
    _publish(publisher(git=True), release)
    following = write_release(tmp_path / "next", "1.3.0", card_html=None, README_md=b"# 1.3\n")
    _publish(publisher(git=True), following)
    assert _git(repository, "log", "--format=%s").splitlines() == [
        "dogs 1.3.0",
        "dogs 1.2.0",
        "first",
    ]
    assert _git(repository, "tag").splitlines() == ["v1.2.0", "v1.3.0"]
    assert _git(repository, "status", "--porcelain") == ""
    listed = _git(repository, "ls-tree", "-r", "--name-only", "v1.3.0").splitlines()
    assert listed == sorted([*tree(following.folder), ".gitattributes"])


def test_with_git_doing_it_again_makes_no_commit(
    publisher: Open, release: Bundle, repository: Path
) -> None:
    _publish(publisher(git=True), release)
    head = _git(repository, "rev-parse", "HEAD")
    _publish(publisher(git=True), release)
    assert _git(repository, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("undone", ["tag", "commit"])
def test_with_git_an_interrupted_reveal_is_finished(
    publisher: Open, release: Bundle, repository: Path, undone: str
) -> None:
    _publish(publisher(git=True), release)
    _git(repository, "tag", "-d", "v1.2.0")
    if undone == "commit":
        _git(repository, "reset", "-q", "--soft", "HEAD~1")
    _publish(publisher(git=True), release)
    assert _git(repository, "tag").split() == ["v1.2.0"]
    assert len(_git(repository, "log", "--format=%s").splitlines()) == 2
    assert _git(repository, "status", "--porcelain") == ""


def test_with_git_what_the_owner_has_staged_stays_out_of_the_commit(
    publisher: Open, release: Bundle, repository: Path
) -> None:
    (repository / "mine.txt").write_text("unfinished")
    _git(repository, "add", "mine.txt")
    _publish(publisher(git=True), release)
    assert _git(repository, "status", "--porcelain") == "A  mine.txt\n"


def test_with_git_a_version_that_is_tagged_with_other_bytes_is_refused(
    publisher: Open, release: Bundle, repository: Path, tmp_path: Path
) -> None:
    _publish(publisher(git=True), release)
    _publish(publisher(git=True), write_release(tmp_path / "next", "1.3.0"))
    other = write_release(tmp_path / "other", NOTES_md=b"other\n")
    assert publisher(git=True).check(other) == (
        "hub hub: dogs 1.2.0 is published there with other bytes: manifest.json: "
        "it differs at the tag\n"
        "  hint: a published version never changes: release a new one"
    )


def test_with_git_a_tag_of_something_else_is_refused(
    publisher: Open, release: Bundle, repository: Path
) -> None:
    _git(repository, "tag", "v1.2.0")
    said = publisher(git=True).check(release)
    assert said is not None
    assert "with other bytes: manifest.json: its tag holds no manifest" in said


def test_a_folder_inside_another_repository_is_not_committed_to(
    publisher: Open, release: Bundle, tmp_path: Path, hub: Path
) -> None:
    _git(tmp_path, "init", "-q", ".")
    hub.mkdir()
    assert publisher(git=True).check(release) == (
        "hub hub: the folder is no git repository\n"
        "  hint: git init there (and git lfs install), or leave 'git' out"
    )


def test_a_hooks_own_repository_is_not_mistaken_for_the_hubs(
    publisher: Open,
    release: Bundle,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other-repository"
    other.mkdir()
    _git(other, "init", "-q", ".")
    monkeypatch.setenv("GIT_DIR", os.fspath(other / ".git"))
    _publish(publisher(git=True), release)
    monkeypatch.delenv("GIT_DIR")
    assert _git(repository, "tag").split() == ["v1.2.0"]


def test_what_git_refuses_is_told(publisher: Open, release: Bundle, repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no commits today >&2\nexit 1\n")
    hook.chmod(0o755)
    publisher(git=True).stage(release)
    with pytest.raises(PublishError) as caught:
        publisher(git=True).reveal(release)
    assert caught.value.render() == (
        f"hub hub: git commit --quiet failed in {repository}\n  got: no commits today"
    )
