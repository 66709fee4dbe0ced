"""What digests stood for: kept once, held to their digest, swept when no record names them."""

from pathlib import Path

import pytest

from mlbuild import fingerprint
from mlbuild.store.listings import Listings, packages_of
from mlbuild.toolchains.pins import Lock, Pin

PHOTOS = {"a.jpg": "0" * 32, "deep/ü.jpg": "1" * 32}
CODE = {"my/count/run.py": "2" * 32}


def md5_of(listing: dict[str, str]) -> str:
    return fingerprint.listing_md5(listing.items())[0]


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    listings, md5 = Listings(tmp_path), md5_of(PHOTOS)
    assert (listings.has(md5), listings.folder(md5)) == (False, None)
    listings.keep_folder(md5, PHOTOS)
    assert (listings.has(md5), listings.folder(md5)) == (True, PHOTOS)


def test_a_listing_that_is_not_the_digest_s_is_not_kept(tmp_path: Path) -> None:
    listings, md5 = Listings(tmp_path), md5_of(PHOTOS)
    listings.keep_folder(md5, {"other": "0" * 32})
    assert not listings.has(md5)


def test_code_and_packages_come_back_as_they_were(tmp_path: Path) -> None:
    listings, lock = Listings(tmp_path), Lock("torch", "3.11", (Pin("torch", "2.13.0"),))
    code = fingerprint.digest("code", CODE)
    listings.keep_code(code, CODE)
    listings.keep_packages(lock.digest, lock.lines)
    assert listings.code(code) == CODE
    assert listings.packages(lock.digest) == {"python": "3.11", "torch": "2.13.0"}


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"a": "b"}'])
def test_what_was_damaged_is_not_known(tmp_path: Path, damage: bytes) -> None:
    listings = Listings(tmp_path)
    names = md5_of(PHOTOS), fingerprint.digest("code", CODE), "3" * 64
    (tmp_path / "listings").mkdir()
    for name in names:
        (tmp_path / "listings" / name).write_bytes(damage)
    assert listings.folder(names[0]) is None
    assert listings.code(names[1]) is None
    assert listings.packages(names[2]) is None


def test_a_package_that_stands_twice_is_told_apart_by_its_marker() -> None:
    lines = ["torch==2.0 ; sys_platform == 'darwin'", "torch==2.1 ; sys_platform != 'darwin'"]
    assert packages_of(lines) == {
        "torch (sys_platform == 'darwin')": "2.0",
        "torch (sys_platform != 'darwin')": "2.1",
    }


def test_what_no_record_names_is_swept_once_there_is_much_of_it(tmp_path: Path) -> None:
    listings = Listings(tmp_path)
    folders = [{"a": f"{n:032}"} for n in range(100)]
    (tmp_path / "build").mkdir()
    (tmp_path / "build/p.log").write_text(f"... {md5_of(folders[0])} ... {md5_of(folders[99])}")
    for folder in folders:
        listings.keep_folder(md5_of(folder), folder)
    kept = [n for n, folder in enumerate(folders) if listings.has(md5_of(folder))]
    assert kept[0] == 0
    assert kept[-1] == 99
    assert len(kept) < 40


def test_a_full_disk_or_a_file_in_the_way_loses_knowledge_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "listings").write_text("in the way")
    listings = Listings(tmp_path)
    listings.keep_folder(md5_of(PHOTOS), PHOTOS)
    assert listings.folder(md5_of(PHOTOS)) is None
