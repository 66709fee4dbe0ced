"""Archives that nobody vouches for."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.datasets import archives
from mlbuild.errors import DataError


def _tar(path: Path, *items: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tape:
        for item, data in items:
            item.size = len(data)
            tape.addfile(item, io.BytesIO(data))
    return path


def _file(name: str, data: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    item = tarfile.TarInfo(name)
    item.mode = mode
    return item, data


def _special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    item = tarfile.TarInfo(name)
    item.type, item.linkname = kind, target
    return item, b""


def _unpack(archive: Path, into: Path) -> dict[str, bytes]:
    into.mkdir()
    held = archives.members(archive, "it")
    places = {n: n for n, m in held.items() if m.kind != "folder"}
    archives.unpack(archive, into, places, held, label="it", progress=lambda *_: None)
    return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}


UNSAFE = "the archive is unsafe, a member leads out of its folder"
LINK = "the archive is unsafe, a link leads out of its folder"
DEVICE = "the archive is unsafe, it holds a device or a pipe"
NOWHERE = "a link in the archive points to nothing inside it"


@pytest.mark.parametrize(
    ("items", "message", "got"),
    [
        pytest.param([_file("../evil")], UNSAFE, "'../evil'", id="up"),
        pytest.param([_file("a/../../evil")], UNSAFE, "'a/../../evil'", id="down and up"),
        pytest.param([_file("/etc/evil")], UNSAFE, "'/etc/evil'", id="absolute"),
        pytest.param([_special("l", tarfile.SYMTYPE, "/etc/passwd")], LINK, "l -> /etc/passwd", id="absolute link"),  # noqa: E501
        pytest.param([_special("a/l", tarfile.SYMTYPE, "../../x")], LINK, "a/l -> ../../x", id="link up"),  # noqa: E501
        pytest.param([_special("l", tarfile.LNKTYPE, "../x")], UNSAFE, "'../x'", id="hard link up"),
        pytest.param([_special("d", tarfile.CHRTYPE)], DEVICE, "'d'", id="device"),
        pytest.param([_special("p", tarfile.FIFOTYPE)], DEVICE, "'p'", id="pipe"),
        pytest.param([_special("l", tarfile.SYMTYPE, "none")], NOWHERE, "l -> none", id="dangling"),
        pytest.param(
            [_special("a", tarfile.SYMTYPE, "b"), _special("b", tarfile.SYMTYPE, "a")],
            NOWHERE, "a -> a", id="links in a circle",
        ),
        pytest.param(
            [_special("l", tarfile.SYMTYPE, "."), _file("l/evil")], NOWHERE, "l -> .", id="top",
        ),
    ],
)  # fmt: skip
def test_an_unsafe_archive_is_refused_before_it_can_do_harm(
    tmp_path: Path, items: list[tuple[tarfile.TarInfo, bytes]], message: str, got: str
) -> None:
    archive = _tar(tmp_path / "a.tar.gz", _file("good"), *items)
    with pytest.raises(DataError) as caught:
        _unpack(archive, tmp_path / "into")
    assert caught.value.render() == f"it: {message}\n  got: {got}"
    assert not (tmp_path / "evil").exists()
    assert list((tmp_path / "into").iterdir()) == []


def test_a_file_below_a_link_to_a_folder_does_not_go_through_it(tmp_path: Path) -> None:
    items = [_file("d/x"), _special("l", tarfile.SYMTYPE, "d"), _file("l/evil")]
    with pytest.raises(DataError):
        _unpack(_tar(tmp_path / "a.tar.gz", *items), tmp_path / "into")
    assert not (tmp_path / "into" / "d" / "evil").exists()


def test_links_inside_become_copies(tmp_path: Path) -> None:
    items = [
        _special("l", tarfile.SYMTYPE, "d/x"),
        _special("d/m", tarfile.SYMTYPE, "../l"),
        _file("d/x", b"data"),
        _special("h", tarfile.LNKTYPE, "d/x"),
    ]
    found = _unpack(_tar(tmp_path / "a.tar", *items, mode="w"), tmp_path / "into")
    assert found == dict.fromkeys(["l", "d/m", "d/x", "h"], b"data")
    assert not any(p.is_symlink() for p in (tmp_path / "into").rglob("*"))
    assert all(p.stat().st_nlink == 1 for p in (tmp_path / "into").rglob("*") if p.is_file())


def test_setuid_is_dropped_and_the_executable_bit_kept(tmp_path: Path) -> None:
    _unpack(_tar(tmp_path / "a.tgz", _file("s", mode=0o6755), _file("t")), tmp_path / "into")
    assert (tmp_path / "into" / "s").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "into" / "t").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_compression_is_read(tmp_path: Path, mode: str) -> None:
    archive = _tar(tmp_path / "a", _file("./d/x", b"1"), _file("y", b"2"), mode=mode)
    assert _unpack(archive, tmp_path / "into") == {"d/x": b"1", "y": b"2"}


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar", _file("x", b"1"), _file("./x", b"2"), mode="w")
    assert _unpack(archive, tmp_path / "into") == {"x": b"2"}


def test_one_name_for_a_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar", _file("x"), _file("x/y"), mode="w")
    with pytest.raises(DataError, match="uses one name for a file and for a folder"):
        _unpack(archive, tmp_path / "into")


def _zip(path: Path, write: Callable[[zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        write(packed)
    return path


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_zip_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    archive = _zip(tmp_path / "a.zip", lambda z: z.writestr(name, "x"))
    with pytest.raises(DataError) as caught:
        _unpack(archive, tmp_path / "into")
    assert caught.value.render() == f"it: {UNSAFE}\n  got: {name!r}"


def test_links_in_a_zip_are_links_too(tmp_path: Path) -> None:
    def link(name: str, target: str) -> Callable[[zipfile.ZipFile], None]:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, 0o120777 << 16
        return lambda z: (z.writestr("d/x", "data"), z.writestr(info, target))  # type: ignore

    good = _zip(tmp_path / "good.zip", link("l", "d/x"))
    assert _unpack(good, tmp_path / "good") == {"l": b"data", "d/x": b"data"}
    evil = _zip(tmp_path / "evil.zip", link("l", "../../etc/passwd"))
    with pytest.raises(DataError, match="a link leads out of its folder"):
        _unpack(evil, tmp_path / "evil")


def test_a_bomb_is_refused_without_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_BOMB_FLOOR", 1 << 20)
    for name, make in {
        "bomb.zip": lambda p: _zip(p, lambda z: z.writestr("zeros", bytes(5 << 20))),
        "bomb.tar.xz": lambda p: _tar(p, _file("zeros", bytes(5 << 20)), mode="w:xz"),
    }.items():
        with pytest.raises(DataError) as caught:
            _unpack(make(tmp_path / name), tmp_path / f"into {name}")
        assert caught.value.render() == (
            "it: the archive would unpack to more than 0 GB\n"
            "  hint: unpack it yourself, look at it, and name the folder as `path:`"
        )


@pytest.mark.parametrize("cut", [1, 40, 2000])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_tar_is_corrupt(tmp_path: Path, mode: str, cut: int) -> None:
    archive = _tar(tmp_path / "a", _file("x", os.urandom(9000)), mode=mode)
    data = archive.read_bytes()
    archive.write_bytes(data[: cut if mode != "w" or cut != 1 else 700])
    with pytest.raises(DataError, match="it: the archive is corrupt"):
        _unpack(archive, tmp_path / "into")


def test_a_damaged_zip_is_corrupt(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", lambda z: z.writestr("x", os.urandom(900)))
    data = bytearray(archive.read_bytes())
    data[200] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(DataError, match="it: the archive is corrupt"):
        _unpack(archive, tmp_path / "into")


def test_a_tar_that_ends_in_a_zip_is_still_a_tar(tmp_path: Path) -> None:
    inner = _zip(tmp_path / "inner.zip", lambda z: z.writestr("inside", "x")).read_bytes()
    archive = _tar(tmp_path / "a.tar", _file("x.zip", inner), mode="w")
    assert _unpack(archive, tmp_path / "into") == {"x.zip": inner}


def test_a_full_disk_is_told_before_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = _tar(tmp_path / "a.tar", _file("x", bytes(2_000_000)), mode="w")
    usage = archives.shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr("mlbuild.datasets.archives.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError) as caught:
        _unpack(archive, tmp_path / "into")
    assert caught.value.render() == (
        "it: not enough space to unpack it\n  got: 1 MB free, 2 MB needed"
    )
