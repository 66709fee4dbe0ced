"""A package index of our own: a folder with wheels made by hand."""

import hashlib
import os
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

Wheel = Callable[..., Path]


def _record(name: str, data: str) -> str:
    digest = urlsafe_b64encode(hashlib.sha256(data.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def write_wheel(folder: Path, name: str, version: str, source: str = "", needs: str = "") -> Path:
    info = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    members = {
        f"{name}.py": source or f"version = {version!r}\ndef main() -> None: print({version!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        record = "".join(_record(member, data) for member, data in members.items())
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that packages come from; it holds tinypkg 1.0 and 2.0."""
    folder = tmp_path / "wheel house"
    folder.mkdir()
    link = tmp_path / "wheels"  # pip splits find-links at spaces
    link.symlink_to(folder)
    for variable in [v for v in os.environ if v.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{link} {tmp_path / 'no such folder'}")
    monkeypatch.setenv("UV_CACHE_DIR", os.fspath(tmp_path / "uv"))
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(tmp_path / "a cache"))
    monkeypatch.setenv("MLBUILD_INSTALLER", "uv")
    for version in ("1.0", "2.0"):
        write_wheel(folder, "tinypkg", version)
    return folder


@pytest.fixture
def make_wheel(wheelhouse: Path) -> Wheel:
    """Puts one more wheel there."""
    return lambda *args, **options: write_wheel(wheelhouse, *args, **options)
