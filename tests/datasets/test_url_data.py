"""Datasets at addresses: verified, resumed, tried again, unpacked."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from mlbuild.errors import DataError, PipelineError

DATA = os.urandom(600_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


def test_a_file_is_fetched_verified_and_frozen(get, web) -> None:
    web.files["data/weights%20x.bin"] = DATA
    got = get("url", web.url("data/weights%20x.bin"), md5=MD5.upper())
    assert got.path.name == "weights x.bin"
    assert got.path.read_bytes() == DATA
    assert got.path.stat().st_mode & 0o777 == 0o444
    assert (got.frozen["sha256"], got.frozen["size"]) == (SHA256, len(DATA))
    again = get("url", web.url("data/weights%20x.bin"), md5=MD5, frozen=got.frozen)
    assert again == got
    assert len(web.asked) == 1


def test_a_connection_that_breaks_is_continued_where_it_broke(get, web) -> None:
    web.files["x"] = DATA
    web.break_after = [1000, 300_000]
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA
    assert [asked for _, asked in web.asked] == [None, "bytes=1000-", "bytes=301000-"]
    assert any("trying again" in text for text in get.heard)


def test_a_later_attempt_continues_what_an_earlier_one_left(get, web) -> None:
    web.files["x"] = DATA
    web.break_after = [1000] + [0] * 5
    with pytest.raises(DataError) as caught:
        get("url", web.url("x"), sha256=SHA256)
    assert caught.value.render() == (
        f"dataset 'photos': {web.url('x')} could not be downloaded\n"
        f"  got: the connection ended after 1000 of {len(DATA)} bytes\n"
        "  hint: try again: what has arrived is kept and continued"
    )
    web.break_after, web.asked = [], []
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA
    assert web.asked == [("x", "bytes=1000-")]


def test_a_file_that_changed_in_between_is_fetched_from_the_start(get, web) -> None:
    web.files["x"] = b"old" * 1000
    web.break_after = [1000] + [0] * 5
    with pytest.raises(DataError):
        get("url", web.url("x"), sha256=SHA256)
    web.files["x"], web.etag, web.break_after = DATA, '"two"', []
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA


def test_a_file_put_together_of_two_versions_is_fetched_anew(get, web) -> None:
    web.files["x"] = b"old" * 1000
    web.break_after = [1000] + [0] * 5
    with pytest.raises(DataError):
        get("url", web.url("x"), sha256=SHA256)
    web.files["x"], web.break_after = DATA, []  # and the server lies: the same ETag
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA
    assert [asked for _, asked in web.asked[-2:]] == ["bytes=1000-", None]


def test_a_server_without_ranges_is_asked_for_everything(get, web) -> None:
    web.files["x"], web.ranges, web.break_after = DATA, False, [1000]
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA


def test_without_a_validator_nothing_is_continued(get, web) -> None:
    web.files["x"], web.etag, web.break_after = DATA, None, [1000]
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA
    assert [asked for _, asked in web.asked] == [None, None]


def test_a_busy_server_is_asked_again(get, web) -> None:
    web.files["x"], web.statuses = DATA, [503, 429]
    assert get("url", web.url("x"), sha256=SHA256).path.read_bytes() == DATA


def test_a_missing_file_is_not_asked_for_again(get, web) -> None:
    with pytest.raises(DataError) as caught:
        get("url", web.url("x"), sha256=SHA256)
    assert caught.value.render() == (
        f"dataset 'photos': {web.url('x')} could not be downloaded\n"
        "  got: HTTP 404 Not Found\n"
        "  hint: check the address"
    )
    assert len(web.asked) == 1


def test_a_wrong_digest_names_both_and_the_file_is_deleted(get, web) -> None:
    web.files["x"] = b"other"
    with pytest.raises(DataError) as caught:
        get("url", web.url("x"), sha256=SHA256)
    assert caught.value.render() == (
        f"dataset 'photos': {web.url('x')} is not what was expected\n"
        f"  got: sha256 {hashlib.sha256(b'other').hexdigest()}\n"
        f"  allowed: sha256 {SHA256}\n"
        "  hint: the file was deleted; if it was changed on purpose, write the new digest down"
    )
    assert not [p for p in get.cache.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_nobody_listening_is_an_error(get, web) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        get("url", "http://127.0.0.1:9/x", sha256=SHA256)


def test_a_redirect_is_followed_but_not_without_end_nor_to_a_file(get, web) -> None:
    web.files["x"] = DATA
    web.redirects = {"a": "/x", "loop": "/loop", "out": "file:///etc/passwd"}
    assert get("url", web.url("a"), sha256=SHA256).path.read_bytes() == DATA
    with pytest.raises(DataError, match="could not be downloaded"):
        get("url", web.url("loop"), md5=MD5)
    with pytest.raises(DataError, match="could not be downloaded"):
        get("url", web.url("out"), md5="0" * 32)


def test_a_password_in_an_address_is_used_and_never_shown(get, web) -> None:
    web.files["x"] = b"other"
    web.login = "Basic bWU6c2VjcmV0"  # me:secret
    with pytest.raises(DataError) as caught:
        get("url", web.url("x").replace("//", "//me:secret@"), sha256=SHA256)
    assert "is not what was expected" in caught.value.render()
    assert "secret" not in caught.value.render()


def test_a_mirror_of_cached_data_fetches_nothing(get, web) -> None:
    web.files = {"one/x": DATA, "two/x": DATA}
    first = get("url", web.url("one/x"), sha256=SHA256)
    assert get("url", web.url("two/x"), sha256=SHA256).path == first.path
    assert len(web.asked) == 1


def _archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tape:
        for name, data in names.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            tape.addfile(item, io.BytesIO(data))
    return buffer.getvalue()


def test_an_archive_is_unpacked_unless_told_otherwise(get, web) -> None:
    data = _archive({"images/beagle_1.jpg": b"1", "images/pug_2.jpg": b"2", "README": b"3"})
    digest = hashlib.sha256(data).hexdigest()
    web.files["images.tar.gz"] = data
    url = web.url("images.tar.gz")
    whole = get("url", url, sha256=digest).path
    assert (whole / "images" / "pug_2.jpg").read_bytes() == b"2"
    some = get("url", url, sha256=digest, files="images/*.jpg").path
    assert sorted(p.name for p in some.iterdir()) == ["beagle_1.jpg", "pug_2.jpg"]
    packed = get("url", url, sha256=digest, extract=False).path
    assert (packed.name, packed.read_bytes()) == ("images.tar.gz", data)
    assert not list(get.cache.rglob("*.parts"))


def test_a_single_packed_file_stays_as_it_is(get, web) -> None:
    web.files["digits.csv.gz"] = DATA
    assert get("url", web.url("digits.csv.gz"), sha256=SHA256).path.name == "digits.csv.gz"


def test_an_unsafe_archive_leaves_nothing_in_the_cache(get, web, tmp_path: Path) -> None:
    data = _archive({"ok": b"", "../../../evil": b"x"})
    web.files["a.tar.gz"] = data
    with pytest.raises(DataError, match="a member leads out of its folder"):
        get("url", web.url("a.tar.gz"), sha256=hashlib.sha256(data).hexdigest())
    assert not list(tmp_path.rglob("evil"))
    assert not list(get.cache.rglob("entry.json"))
    assert not list(get.cache.rglob("a.tar.gz*"))


def test_a_file_address_works_offline_and_a_web_address_does_not(get, web, tmp_path: Path) -> None:
    (tmp_path / "x y").write_bytes(DATA)
    url = (tmp_path / "x y").as_uri()
    assert get("url", url, sha256=SHA256, offline=True).path.read_bytes() == DATA
    with pytest.raises(DataError) as caught:
        get("url", web.url("x"), sha256="0" * 64, offline=True)
    assert caught.value.render() == (
        "dataset 'photos' is not in the cache and --offline forbids to fetch it\n"
        f"  got: {web.url('x')}\n"
        "  hint: run once without --offline"
    )
    with pytest.raises(DataError) as caught:
        get("url", "file:///none/x", sha256=SHA256[::-1])
    assert caught.value.render() == (
        "dataset 'photos': file:///none/x could not be downloaded\n"
        "  got: no such file\n"
        "  hint: check the address"
    )


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        pytest.param("https://x/y", {}, "dataset 'photos': an address needs the digest of what is there\n  hint: add sha256: ... (`sha256sum FILE` prints it) or md5: ...", id="no digest"),  # noqa: E501
        pytest.param("ftp://x/y", {"md5": MD5}, "dataset 'photos': an address is http, https or file\n  got: ftp://x/y", id="ftp"),  # noqa: E501
        pytest.param("https://x/y", {"md5": "12"}, "dataset 'photos': md5 has 32 hex digits\n  got: 12", id="short digest"),  # noqa: E501
        pytest.param("https://x/a.tar", {"md5": MD5, "files": "../x"}, "dataset 'photos': 'files' is a path or glob inside the data\n  got: '../x'\n  hint: for example files: \"images/*.jpg\"", id="glob out"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_dataset_that_cannot_be_right_is_refused(
    get, location: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        get("url", location, **options)
    assert caught.value.render() == message


def test_files_of_something_that_is_not_unpacked_are_refused(get) -> None:
    with pytest.raises(PipelineError, match="'files' chooses out of an archive"):
        get("url", "https://x/a.zip", md5=MD5, extract=False, files="*")


def test_a_full_disk_is_told_before_the_download(get, web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["x"] = DATA
    import shutil

    usage = shutil.disk_usage("/")._replace(free=100_000)
    monkeypatch.setattr("mlbuild.datasets.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError) as caught:
        get("url", web.url("x"), sha256=SHA256)
    lines = caught.value.render().splitlines()
    assert lines[0].startswith("dataset 'photos': not enough space in ")
    assert lines[1:] == [
        "  got: 0 MB free, 1 MB needed",
        "  hint: free the disk, or move the cache with MLBUILD_CACHE_DIR",
    ]
