"""Files that are not those of the lock are refused, by uv and by pip."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mlbuild.errors import ToolchainError
from mlbuild.toolchains import Lock, Pin
from mlbuild.toolchains.hashes import with_hashes
from mlbuild.toolchains.making import Made, make

from .conftest import Wheel
from .test_environments import MINOR

WHEEL = "tinypkg-1.0-py3-none-any.whl"
WRONG = hashlib.sha256(b"what somebody looked at").hexdigest()


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lock(folder: Path, *lines: tuple[str, str], closed: bool = False) -> Lock:
    path = folder / "ours.sha256"
    path.write_text("".join(f"{digest}  {file}\n" for digest, file in lines))
    pin = Pin("tinypkg", "1.0")
    return Lock("ours", MINOR, (pin,), preload=("tinypkg",), closed=closed, hashes=path)


def _make(lock: Lock, folder: Path) -> Made:
    scratch = folder / f"scratch {len(list(folder.iterdir()))}"
    return make(lock, scratch, folder / "final", offline=False, say=lambda _: None)


PIP = pytest.mark.slow  # it puts itself into each environment first


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=PIP)])
def test_another_file_under_the_same_name_is_refused(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    monkeypatch.setenv("MLBUILD_INSTALLER", installer)
    with pytest.raises(ToolchainError) as caught:
        _make(_lock(tmp_path, (WRONG, WHEEL)), tmp_path)
    told = caught.value.render()
    first, *_, last = told.splitlines()
    assert first == "toolchain 'ours': its packages could not be installed"
    assert WRONG in told
    assert _sum(wheelhouse / WHEEL) in told
    assert last == (
        "  hint: an index or find-links of yours offers another file under a name of the lock: "
        "remove it there"
    )


def test_the_file_of_the_lock_is_taken(wheelhouse: Path, tmp_path: Path) -> None:
    lock = _lock(tmp_path, (_sum(wheelhouse / WHEEL), WHEEL))
    assert _make(lock, tmp_path).packages["tinypkg"] == "1.0"


def test_a_build_with_a_local_label_is_taken_where_the_list_of_builds_names_it(
    wheelhouse: Path, make_wheel: Wheel, tmp_path: Path
) -> None:
    labelled = make_wheel("tinypkg", "1.0+mine")
    lock = _lock(tmp_path, (_sum(wheelhouse / WHEEL), WHEEL))
    with pytest.raises(ToolchainError) as caught:
        _make(lock, tmp_path)  # a label is no licence
    assert _sum(labelled) in caught.value.render()
    (tmp_path / "builds.sha256").write_text(f"{_sum(labelled)}  {labelled.name}\n")
    assert _make(lock, tmp_path).packages["tinypkg"] == "1.0+mine"


@pytest.mark.parametrize(
    ("installer", "closed"),
    [("uv", False), ("uv", True), pytest.param("pip", False, marks=PIP)],
)
def test_what_a_pin_asks_for_comes_without_a_hash_unless_the_lock_is_closed(
    wheelhouse: Path,
    make_wheel: Wheel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installer: str,
    closed: bool,
) -> None:
    monkeypatch.setenv("MLBUILD_INSTALLER", installer)
    needy = make_wheel("needy", "1.0", needs="tinypkg==2.0")
    lock = _lock(tmp_path, (_sum(needy), needy.name), closed=closed)
    lock = replace(lock, requirements=(Pin("needy", "1.0"),), preload=("needy",))
    found = _make(lock, tmp_path).packages
    assert ("tinypkg" in found) is not closed
    assert found["needy"] == "1.0"


def test_a_closed_lock_without_a_hash_is_refused(wheelhouse: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="its packages could not be installed"):
        _make(_lock(tmp_path, closed=True), tmp_path)


def test_file_names_stand_for_pins(tmp_path: Path) -> None:
    names = [
        "Some_Pkg-1.0-cp311-cp311-macosx_14_0_arm64.whl",
        "some.pkg-1.0-1-py3-none-any.whl",
        "some_pkg-1.0+cpu-py3-none-any.whl",
        "some-pkg-1.0.tar.gz",
        "some-pkg-1.0.zip",
        "some_pkg-1.0.1.tar.gz",
        "some_pkg_more-1.0-py3-none-any.whl",
    ]
    lock = _lock(tmp_path, *((str(number), name) for number, name in enumerate(names)))
    (pin,) = with_hashes(replace(lock, requirements=(Pin("some-pkg", "1.0"),)))
    assert pin.hashes == tuple(f"sha256:{number}" for number in range(5))


def test_a_list_of_the_user_s_own_is_left_as_it_is() -> None:
    pins = (Pin("a", "1", hashes=("sha256:00",)), Pin("b", "2"))
    assert with_hashes(Lock("ours", MINOR, pins)) == pins
