"""Finding interpreters, cache folders, and what the doctor says."""

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains, commands, pins
from mlbuild.toolchains.doctor import examine
from mlbuild.toolchains.interpreters import find, installed, probe
from mlbuild.toolchains.locking import exclusive, is_held
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


@pytest.mark.skipif(
    not list((Path.home() / ".pyenv/versions").glob("3.8.*/bin/python3.8")),
    reason="no Python 3.8 under pyenv",
)
def test_the_python_of_old_toolchains_is_found_under_pyenv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv("PYENV_VERSION", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("caffe", "turicreate"):
        found = installed(pins.builtin(name).python)
        assert found is not None
        assert found.version.startswith("3.8.")


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
    (first,) = examine(toolchains, names=())
    assert (first.state, first.text) == ("missing", "native Windows is not supported")
    assert first.remedy and "WSL" in first.remedy


def test_a_python_that_is_missing_is_downloaded_by_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = probe(Path(sys._base_executable))  # type: ignore[attr-defined]
    assert real is not None
    program = tmp_path / "pythons" / f"cpython-{MINOR}.0-any" / "bin" / f"python{MINOR}"
    uv = tmp_path / "uv"  # stands for the program, which would need the network
    uv.write_text(f"""#!/bin/sh
        test "$1 $2 $3" = "python install {MINOR}" || exit 1
        mkdir -p '{program.parent}'
        printf '#!/bin/sh\\nexec "{real.path}" "$@"\\n' > '{program}'
        chmod +x '{program}'
    """)
    uv.chmod(0o755)
    monkeypatch.setattr("mlbuild.toolchains.interpreters.installed", lambda minor: None)
    monkeypatch.setattr("mlbuild.toolchains.interpreters.uv_binary", lambda: uv)
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    told: list[str] = []
    assert find(MINOR, offline=False, say=told.append) == real
    assert told == [f"downloading Python {MINOR}"]


def test_a_silent_program_is_still_reported_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_HEARTBEAT_SECONDS", 0.05)
    told: list[str] = []
    argv = ["sh", "-c", "echo first; sleep 0.3; echo last >&2; exit 7"]
    assert commands.run(argv, os.environ, told.append) == (7, ["first", "last"])
    assert told[0] == "first" and told[-1] == "last" and "" in told


def test_an_interrupt_ends_a_program_and_its_children(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        (tmp_path / "child").write_text(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commands.run(["sh", "-c", "sleep 60 & echo $!; wait"], os.environ, interrupt)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        if "Z" in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]:
            break
        time.sleep(0.01)
    assert time.monotonic() < deadline


def test_a_lock_is_held_while_its_holder_lives(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "x.lock"
    assert not is_held(path)
    with exclusive(path, lambda _: None):
        assert is_held(path)
    assert not is_held(path)


def test_a_file_system_without_locks_is_worked_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("mlbuild.toolchains.locking.fcntl.flock", refuse)
    with exclusive(tmp_path / "x.lock", lambda _: None):
        assert not is_held(tmp_path / "x.lock")


def test_the_doctor_tells_of_a_broken_configuration_and_a_locked_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("nonsense")
    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    toolchains = Toolchains(tmp_path, {}, cache=tmp_path / "cache")
    found = {f.what: f for f in examine(toolchains, names=["torhc"])}
    assert found["package index"].state == "missing"
    assert found["cache folder"].text == f"{tmp_path / 'cache'} cannot be written: Not a directory"
    assert found["toolchain torhc"].text.startswith("unknown toolchain 'torhc'")
