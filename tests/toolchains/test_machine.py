"""Finding interpreters, cache folders, and what the doctor says."""

import os
import sys
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.doctor import examine
from mlbuild.toolchains.interpreters import installed, probe
from mlbuild.toolchains.places import cache_dir

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_engine_s_own_python_is_found_outside_of_its_environment() -> None:
    found = installed(MINOR)
    assert found is not None
    assert found.version == ".".join(str(n) for n in sys.version_info[:3])


def test_pyenv_s_versions_are_found_without_its_shims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/none/python")
    monkeypatch.setenv("PATH", "")
    real = probe(Path(sys._base_executable))  # type: ignore[attr-defined]
    assert real is not None
    program = tmp_path / "versions" / f"{MINOR}.99" / "bin" / f"python{MINOR}"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{real.path}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert installed(MINOR) == real


def test_a_program_that_is_no_python_is_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\necho no version is set >&2; exit 127\n")
    shim.chmod(0o755)
    assert probe(shim) is None
    assert probe(tmp_path / "none") is None


def test_the_cache_folder_is_ours_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLBUILD_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    assert cache_dir() == Path("/home/me/.cache/mlbuild")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == Path("/xdg/mlbuild")
    monkeypatch.setenv("MLBUILD_CACHE_DIR", "~/own")
    assert cache_dir() == Path("/home/me/own")


def test_the_doctor_says_what_is_missing_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    found = {f.what: f for f in examine(Toolchains(tmp_path, {}, cache=tmp_path / "cache"))}
    assert found["git"].state == "missing"
    assert found["git"].remedy == "install git with the system's package manager"
    assert found["bash"].state == "note"
    assert found["cache folder"].state == "ok"
    assert found["toolchain torch"].remedy == "mlbuild toolchains --make torch"
    assert not (tmp_path / "cache").exists()


def test_the_doctor_shows_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@one/simple")
    texts = [f.text for f in examine(Toolchains(tmp_path, {}, cache=tmp_path))]
    assert any("https://***@one/simple" in text for text in texts)
    assert not any("secret" in text for text in texts)


def test_native_windows_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toolchains = Toolchains(tmp_path, {}, cache=tmp_path)
    monkeypatch.setattr("mlbuild.toolchains.doctor.sys.platform", "win32")
    first = examine(toolchains, names=())[0]
    assert (first.state, first.text) == ("missing", "native Windows is not supported")
    assert first.remedy and "WSL" in first.remedy
