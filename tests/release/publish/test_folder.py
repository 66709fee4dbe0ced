"""A folder of releases: beside, then in place; and `latest.json`."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.release.publish import contents, placing
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import tree, write_release

Open = Callable[[], Publisher]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"


@pytest.fixture
def publisher(tmp_path: Path) -> Open:
    return lambda: open_publishers([{"folder": "shelf"}], tmp_path, {})[0]


def _pointer(shelf: Path) -> dict[str, object]:
    return dict(json.loads((shelf / "dogs/latest.json").read_text()))


def test_a_release_is_hidden_until_it_is_revealed(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    assert publisher().check(release) is None
    assert not shelf.exists()
    publisher().stage(release)
    assert [p.name for p in (shelf / "dogs").iterdir() if p.name[0] != "."] == []
    assert publisher().reveal(release) == str(shelf / "dogs/v1.2.0")
    assert tree(shelf / "dogs/v1.2.0") == tree(release.folder)
    assert sorted(p.name for p in (shelf / "dogs").iterdir()) == [".lock", "latest.json", "v1.2.0"]


def test_the_pointer_names_the_manifest_and_its_digest(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    said = _pointer(shelf)
    manifest = (shelf / "dogs" / str(said["manifest"])).read_bytes()
    import hashlib

    assert said == {
        "version": 1,
        "name": "dogs",
        "release": "1.2.0",
        "tag": "dogs@v1.2.0",
        "manifest": "v1.2.0/manifest.json",
        "sha256": hashlib.sha256(manifest).hexdigest(),
    }


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        (["1.2.0", "1.10.0"], "1.10.0"),
        (["1.10.0", "1.2.1"], "1.10.0"),  # a mend of an older line
        (["1.2.0", "2.0.0-rc.1"], "1.2.0"),
        (["2.0.0-rc.1", "2.0.0-rc.2"], "2.0.0-rc.2"),
        (["2.0.0-rc.1", "1.9.0"], "1.9.0"),
    ],
)
def test_the_pointer_never_goes_back(
    publisher: Open, tmp_path: Path, shelf: Path, versions: list[str], latest: str
) -> None:
    for version in versions:
        release = write_release(tmp_path / "r", version)
        publisher().stage(release)
        publisher().reveal(release)
    assert _pointer(shelf)["release"] == latest


def test_doing_it_all_again_writes_nothing(
    publisher: Open, release: Bundle, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher().stage(release)
    staged = {p: p.stat().st_ino for p in shelf.rglob("*")}
    publisher().stage(release)
    assert {p: p.stat().st_ino for p in shelf.rglob("*")} == staged
    publisher().reveal(release)
    shown = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in shelf.rglob("*")}
    publisher().stage(release)
    publisher().reveal(release)
    assert publisher().check(release) is None
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in shelf.rglob("*")} == shown


@pytest.mark.parametrize(
    ("path", "change", "why"),
    [
        ("README.md", b"# other\n", "README.md: it differs"),
        ("card.html", None, "card.html: it is missing there"),
        ("artifacts/model/extra", b"x", "artifacts/model/extra: it is not of this release"),
    ],
)
def test_a_version_with_other_bytes_is_refused_and_left_alone(
    publisher: Open, release: Bundle, shelf: Path, path: str, change: bytes | None, why: str
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    file = shelf / "dogs/v1.2.0" / path
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change)
    before = tree(shelf)
    message = (
        f"folder shelf: dogs 1.2.0 is published there with other bytes: {why}\n"
        "  hint: a published version never changes: release a new one"
    )
    assert publisher().check(release) == message
    for step in (publisher().stage, publisher().reveal):
        with pytest.raises(PublishError) as caught:
            step(release)
        assert caught.value.render() == message
    assert tree(shelf) == before


def test_a_second_signature_of_the_same_bytes_is_no_difference(
    publisher: Open, release: Bundle, shelf: Path, tmp_path: Path
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    again = write_release(tmp_path / "again", signature=b"signed twice")
    publisher().stage(again)
    publisher().reveal(again)
    assert (shelf / "dogs/v1.2.0/model.sig").read_bytes() == b"signed once"


def test_an_interrupted_stage_goes_on_with_what_is_missing(
    publisher: Open, release: Bundle, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[str] = []
    real = placing.shutil.copyfileobj

    def dies(source: object, target: object, size: int) -> None:
        if len(copies) == 4:
            raise KeyboardInterrupt
        copies.append("one")
        real(source, target, size)  # type: ignore[arg-type]

    monkeypatch.setattr(placing.shutil, "copyfileobj", dies)
    with pytest.raises(KeyboardInterrupt):
        publisher().stage(release)
    copies.clear()
    monkeypatch.setattr(
        placing.shutil, "copyfileobj", lambda *a: (copies.append("two"), real(*a))[1]
    )
    publisher().stage(release)
    publisher().reveal(release)
    assert len(copies) == len(tree(release.folder)) - 4
    assert tree(shelf / "dogs/v1.2.0") == tree(release.folder)


def test_a_release_that_was_given_up_leaves_nothing_in_the_next_one(
    publisher: Open, release: Bundle, shelf: Path, tmp_path: Path
) -> None:
    publisher().stage(release)
    staged = shelf / "dogs/.v1.2.0.staged"
    (staged / "artifacts/old/deep").mkdir(parents=True)
    (staged / "artifacts/old/deep/net").write_text("old")
    (staged / "link").symlink_to("/etc")
    (staged / "NOTES.md").unlink()
    (staged / "NOTES.md").mkdir()
    other = write_release(tmp_path / "other", README_md=b"# other\n")
    publisher().stage(other)
    publisher().reveal(other)
    assert tree(shelf / "dogs/v1.2.0") == tree(other.folder)
    assert not (shelf / "dogs/v1.2.0/artifacts/old").exists()


def test_what_was_spoilt_after_it_was_staged_is_not_revealed(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    publisher().stage(release)
    (shelf / "dogs/.v1.2.0.staged/README.md").write_text("spoilt")
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == "folder shelf: not staged: README.md: it differs"
    assert not (shelf / "dogs/v1.2.0").exists()


def test_an_interrupted_reveal_still_moves_the_pointer(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    (shelf / "dogs/latest.json").unlink()
    publisher().reveal(release)
    assert _pointer(shelf)["release"] == "1.2.0"


def test_two_at_once_are_refused_rather_than_mixed(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    (shelf / "dogs").mkdir(parents=True)
    with (shelf / "dogs/.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # the least that anybody can hold
        with pytest.raises(PublishError) as caught:
            publisher().stage(release)
    assert caught.value.render() == (
        "folder shelf: somebody else is publishing dogs there\n"
        "  hint: run it again when that release has ended"
    )


def test_a_copy_that_went_wrong_is_noticed(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        placing.shutil, "copyfileobj", lambda source, target, size: target.write(b"disk rot")
    )
    with pytest.raises(PublishError, match="what was written is not what was read"):
        publisher().stage(release)


def test_a_full_disk_is_told_in_words(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/shelf/x")

    monkeypatch.setattr(placing.shutil, "copyfileobj", full)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == "folder shelf: No space left on device (/shelf/x)"


def test_a_folder_that_cannot_be_read_is_told_in_words(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/releases/x")

    monkeypatch.setattr(contents, "digest", refused)
    said = f"{release.folder}: Permission denied (/releases/x)"
    assert publisher().check(release) == said
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == said


def test_a_pointer_of_something_else_is_refused(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    publisher().stage(release)
    (shelf / "dogs/latest.json").write_text("{}")
    with pytest.raises(PublishError, match=r"latest\.json: it is no pointer to a release"):
        publisher().reveal(release)


def test_a_file_in_place_of_the_folder_stands_in_the_way(
    publisher: Open, release: Bundle, shelf: Path
) -> None:
    shelf.write_text("a file")
    assert publisher().check(release) == f"folder shelf: {shelf} cannot be written to"


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    shutil.rmtree(release.folder)
    assert publisher().check(release) == "folder shelf: dogs 1.2.0 is there already"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_plain_file_is_not_published(
    publisher: Open, release: Bundle, kind: str
) -> None:
    odd = release.folder / "artifacts/odd"
    if kind == "link":
        odd.symlink_to("/etc/passwd")
    else:
        os.mkfifo(odd)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == f"{odd}: a release holds plain files and folders only"


def test_a_folder_whose_manifest_is_of_another_release_is_not_published(
    publisher: Open, release: Bundle
) -> None:
    wrong = Bundle(release.folder, "dogs", "1.3.0", "dogs@v1.3.0", release.commit, "")
    with pytest.raises(PublishError) as caught:
        publisher().stage(wrong)
    assert caught.value.render() == (
        f"{release.folder}/manifest.json: the manifest is of another release\n"
        "  got: dogs 1.2.0\n  allowed: dogs 1.3.0"
    )


def test_a_folder_without_a_manifest_is_not_published(publisher: Open, release: Bundle) -> None:
    (release.folder / "manifest.json").unlink()
    with pytest.raises(PublishError, match=r"manifest\.json: no manifest of a release"):
        publisher().stage(release)


def test_progress_ends_at_all_bytes(release: Bundle, tmp_path: Path) -> None:
    told: list[tuple[float, float | None, str]] = []
    (place,) = open_publishers(
        [{"folder": "shelf"}], tmp_path, {}, progress=lambda *said: told.append(said)
    )
    place.stage(release)
    total = sum(len(data) for data in tree(release.folder).values())
    assert told[-1][:2] == (total, total)
    assert told[0][2].startswith("folder shelf: ")
