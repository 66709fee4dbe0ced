"""Datasets out of distributions, from an index of our own."""

import base64
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlbuild.errors import DataError, PipelineError
from mlbuild.toolchains.locking import exclusive


def _wheel(folder: Path, members: dict[str, str], tag: str = "py3-none-any") -> Path:
    path = folder / f"photo_pack-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    return path


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def _sdist(folder: Path, members: dict[str, str]) -> Path:
    path = folder / "photo_pack-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tape:
        for name, text in members.items():
            item = tarfile.TarInfo(f"photo_pack-1.0/{name}")
            item.size = len(text)
            tape.addfile(item, io.BytesIO(text.encode()))
    return path


PHOTOS = {"photo_pack/data/a_1.jpg": "one", "photo_pack/data/a_2.jpg": "two", "setup.py": "1/0"}


def test_files_of_a_wheel_are_picked_frozen_and_read_only(get, only_index: Path) -> None:
    wheel = _wheel(only_index, PHOTOS)
    got = get("pypi", "photo-pack==1.0", files="photo_pack/data/a_*.jpg")
    texts = {p.name: p.read_text() for p in got.path.iterdir()}
    assert texts == {"a_1.jpg": "one", "a_2.jpg": "two"}
    assert all(p.stat().st_mode & 0o222 == 0 for p in got.path.iterdir())
    assert got.frozen == {
        "of": {"scheme": "pypi", "location": "photo-pack==1.0"},
        "distribution": wheel.name,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }
    assert json.loads(json.dumps(got.frozen)) == got.frozen
    wheel.unlink()
    assert get("pypi", "photo-pack==1.0", files="photo_pack/data/a_*.jpg", offline=True) == got


def test_one_named_file_is_the_dataset_itself(get, only_index: Path) -> None:
    _wheel(only_index, {"p/digits.csv.gz": "packed"})
    got = get("pypi", "photo_pack==1.0", files="p/digits.csv.gz")
    assert got.path.name == "digits.csv.gz"
    assert got.path.read_text() == "packed"


def test_a_pure_wheel_is_preferred_on_every_platform_and_an_sdist_is_never_run(
    get, only_index: Path
) -> None:
    _sdist(only_index, PHOTOS)
    assert get("pypi", "photo-pack==1.0", files="setup.py").path.read_text() == "1/0"
    _wheel(only_index, {"x": "platform"}, "cp311-cp311-macosx_14_0_arm64")
    assert get("pypi", "photo-pack==1.0", files="x").path.read_text() == "platform"
    _wheel(only_index, {"y": "pure"})
    assert get("pypi", "photo-pack==1.0", files="y").path.read_text() == "pure"


def test_a_distribution_that_changed_is_an_error_that_names_both(get, only_index: Path) -> None:
    _wheel(only_index, {"a": "old"})
    frozen = get("pypi", "photo-pack==1.0", files="a").frozen
    new = _wheel(only_index, {"a": "new"})
    get.cache = get.cache.with_name("another cache")
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==1.0", files="a", frozen=frozen)
    now = hashlib.sha256(new.read_bytes()).hexdigest()
    assert caught.value.render() == (
        f"dataset 'photos': {new.as_uri()} is not what was expected\n"
        f"  got: sha256 {now}\n"
        f"  allowed: sha256 {frozen['sha256']}\n"
        "  hint: the file was deleted; if it was changed on purpose, write the new digest down"
    )


def test_a_record_of_another_version_does_not_count(get, only_index: Path) -> None:
    _wheel(only_index, {"a": "x"})
    stale = {"of": {"scheme": "pypi", "location": "photo-pack==0.9"}, "sha256": "0" * 64}
    assert get("pypi", "photo-pack==1.0", files="a", frozen=stale).path.read_text() == "x"


def test_no_match_lists_what_is_nearby(get, only_index: Path) -> None:
    _wheel(only_index, PHOTOS)
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==1.0", files="photo_pack/data/*.png")
    assert caught.value.render() == (
        "dataset 'photos': nothing in photo-pack==1.0 matches photo_pack/data/*.png\n"
        "  allowed: photo_pack/data/a_1.jpg, photo_pack/data/a_2.jpg\n"
        "  hint: look at the names"
    )


@pytest.mark.parametrize("location", ["foolbox", "foolbox>=3", "foolbox==3.*", "foolbox[x]==3"])
def test_an_unpinned_distribution_is_refused(get, location: str) -> None:
    with pytest.raises(PipelineError) as caught:
        get("pypi", location)
    assert caught.value.render() == (
        "dataset 'photos': a distribution is given with its exact version\n"
        f"  got: {location}\n"
        "  hint: write pypi: name==version"
    )


def test_a_version_that_nobody_offers_lists_those_there_are(get, only_index: Path) -> None:
    _wheel(only_index, {"a": "x"})
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==2.0")
    assert caught.value.render() == (
        "dataset 'photos': no place offers photo-pack==2.0\n"
        f"  got: searched {only_index}\n"
        "  allowed: 1.0\n"
        "  hint: `pip config list` shows the index that is used"
    )


@pytest.mark.parametrize("kind", ["html", "json"])
def test_an_index_with_a_password_is_read_and_the_password_never_shown(
    get, web, only_index: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    wheel = _wheel(only_index, {"a": "x"})
    data, sha = wheel.read_bytes(), hashlib.sha256(wheel.read_bytes()).hexdigest()
    page = f'<a href="../../files/{wheel.name}#sha256={sha}">x</a>'
    if kind == "json":
        file = {"filename": wheel.name, "url": f"/files/{wheel.name}", "hashes": {"sha256": sha}}
        page = json.dumps({"files": [file]})
        web.content_type = "application/vnd.pypi.simple.v1+json"
    web.files = {"simple/photo-pack/": page.encode(), f"files/{wheel.name}": data}
    web.login = _basic("me:very secret")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    address = web.base.replace("//", "//me:very%20secret@") + "/simple"
    monkeypatch.setenv("PIP_INDEX_URL", address)
    assert get("pypi", "photo-pack==1.0", files="a").path.read_text() == "x"
    web.login = _basic("other:login")
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==1.0", files="**")
    shown = address.replace("me:very%20secret", "***")
    assert caught.value.render() == (
        "dataset 'photos': no place offers photo-pack==1.0\n"
        f"  got: searched {shown}; {shown}/photo-pack/: HTTP 401 Unauthorized\n"
        "  hint: `pip config list` shows the index that is used"
    )


def test_a_file_that_is_not_what_the_index_says_is_refused(
    get, web, only_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "photo_pack-1.0-py3-none-any.whl"
    web.files = {
        "simple/photo-pack/": f'<a href="/{name}#sha256={"0" * 64}">x</a>'.encode(),
        name: b"other",
    }
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", web.url("simple"))
    with pytest.raises(DataError, match="is not what was expected"):
        get("pypi", "photo-pack==1.0")


def test_offline_says_what_it_would_have_fetched(
    get, web, only_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", web.url("simple"))
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==1.0", offline=True)
    assert caught.value.render() == (
        "dataset 'photos' is not in the cache and --offline forbids to fetch it\n"
        "  got: pypi photo-pack==1.0\n"
        "  hint: run once without --offline"
    )
    assert web.asked == []


@pytest.mark.parametrize("harm", ["shorter", "missing", "marker", "extra"])
def test_a_damaged_entry_of_the_cache_is_fetched_again(get, only_index: Path, harm: str) -> None:
    _wheel(only_index, {"d/a": "all of it", "d/b": "b"})
    got = get("pypi", "photo-pack==1.0", files="d/*")
    (got.path / "a").chmod(0o644)
    if harm == "shorter":
        (got.path / "a").write_text("all")
    elif harm == "missing":
        (got.path / "a").unlink()
    elif harm == "marker":
        (got.path.parent / "entry.json").write_text("{")
    else:
        (got.path / "c").write_text("")
    assert get("pypi", "photo-pack==1.0", files="d/*") == got
    assert {p.name: p.read_text() for p in got.path.iterdir()} == {"a": "all of it", "b": "b"}
    assert not list(got.path.parents[1].glob(".*"))


def test_a_corrupt_distribution_is_an_error(get, only_index: Path) -> None:
    (only_index / "photo_pack-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(DataError) as caught:
        get("pypi", "photo-pack==1.0")
    assert caught.value.render().startswith("dataset 'photos': the archive is corrupt\n  got: ")
    assert not [p for p in (get.cache / "data").iterdir() if (p / "entry.json").exists()]


def test_a_lock_that_nobody_holds_any_more_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_text("999999")
    told: list[str] = []
    with exclusive(path, told.append):
        assert path.read_text() == str(os.getpid())
    assert told == []
