"""Making toolchains: once, shared, killed half-way without harm, verified, removed."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlbuild.errors import ToolchainError, UsageError
from mlbuild.records import ToolchainSpec
from mlbuild.toolchains import Lock, Pin, Toolchains, environments, pins
from mlbuild.toolchains.doctor import examine
from mlbuild.toolchains.inspection import inspect
from mlbuild.toolchains.making import make

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _ours(root: Path, text: str = "tinypkg==1.0\n", python: str = MINOR) -> Toolchains:
    root.mkdir(exist_ok=True)
    (root / "r.txt").write_text(text)
    return Toolchains(root, {"ours": ToolchainSpec("ours", python, "r.txt")})


class Heard:
    """A progress receiver that remembers, and acts on one text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, done: float, total: float | None, text: str) -> None:
        self.texts.append(text)


def _run(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_toolchain_is_made_and_its_programs_know_where_they_are(
    wheelhouse: Path, tmp_path: Path
) -> None:
    toolchains, heard = _ours(tmp_path / "p"), Heard()
    assert toolchains.python("ours") is None
    python = toolchains.ensure("ours", heard)
    assert python == toolchains.path("ours") / "bin" / "python" == toolchains.python("ours")
    assert _run(python, "import tinypkg; print(tinypkg.version)") == "1.0"
    script = subprocess.run([python.parent / "tinypkg"], capture_output=True, text=True)
    assert script.stdout == "1.0\n"
    texts = [p.read_text() for p in (python.parents[1] / "bin").iterdir() if p.suffix != ".py"
             and not p.is_symlink() and p.stat().st_size < 50_000]  # fmt: skip
    assert not any(".making-" in text for text in texts)
    assert heard.texts[0] == "ours: installing 1 package"
    assert "ours: verifying" in heard.texts
    assert heard.texts[-1].startswith("ours: ready, ")


def test_two_projects_with_the_same_pins_share_one(wheelhouse: Path, tmp_path: Path) -> None:
    first, again = _ours(tmp_path / "a"), _ours(tmp_path / "b", "# same\ntinypkg == 1.0")
    python, heard = first.ensure("ours", Heard()), Heard()
    assert again.ensure("ours", heard) == python
    assert heard.texts == []
    other = _ours(tmp_path / "c", "tinypkg==2.0")
    assert other.ensure("ours", Heard()) != python


KILLED = """
import os, signal, sys
from pathlib import Path
from mlbuild.records import ToolchainSpec
from mlbuild.toolchains import Toolchains
def progress(done, total, text):
    if sys.argv[2] in text:
        os.kill(os.getpid(), signal.SIGKILL)
t = Toolchains(Path(sys.argv[1]), {"ours": ToolchainSpec("ours", sys.argv[3], "r.txt")})
t.ensure("ours", progress)
"""


@pytest.mark.parametrize("moment", ["installing", "verifying"])
def test_a_killed_install_leaves_nothing_that_is_taken_for_complete(
    wheelhouse: Path, tmp_path: Path, moment: str
) -> None:
    toolchains = _ours(tmp_path / "p")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "p"), moment, MINOR])
    assert done.returncode == -signal.SIGKILL
    assert toolchains.python("ours") is None
    python = toolchains.ensure("ours", Heard())
    assert _run(python, "import tinypkg; print(tinypkg.version)") == "1.0"
    assert not [p for p in toolchains.folder.iterdir() if p.name.startswith(".")]


def test_an_installer_that_is_interrupted_leaves_no_folder(
    wheelhouse: Path, tmp_path: Path
) -> None:
    def interrupt(done: float, total: float | None, text: str) -> None:
        if "verifying" in text:
            raise KeyboardInterrupt

    toolchains = _ours(tmp_path / "p")
    with pytest.raises(KeyboardInterrupt):
        toolchains.ensure("ours", interrupt)
    assert [p.suffix for p in toolchains.folder.iterdir()] == [".lock"]


def test_two_at_once_make_it_once_and_the_second_says_that_it_waits(
    wheelhouse: Path, tmp_path: Path
) -> None:
    first, second = _ours(tmp_path / "p"), _ours(tmp_path / "p")
    waits, heard, late = threading.Event(), Heard(), Heard()

    def hold(done: float, total: float | None, text: str) -> None:
        heard(done, total, text)
        if "verifying" in text:
            assert waits.wait(60)

    def waiting(done: float, total: float | None, text: str) -> None:
        late(done, total, text)
        waits.set()

    maker = threading.Thread(target=first.ensure, args=("ours", hold))
    maker.start()
    while not heard.texts:
        time.sleep(0.01)
    python = second.ensure("ours", waiting)
    maker.join()
    assert late.texts == [f"ours: process {os.getpid()} is making it, waiting"]
    assert first.python("ours") == python


def test_a_version_that_nobody_offers_is_an_error(wheelhouse: Path, tmp_path: Path) -> None:
    toolchains = _ours(tmp_path / "p", "tinypkg==9.9")
    with pytest.raises(ToolchainError) as caught:
        toolchains.ensure("ours", Heard())
    lines = caught.value.render().splitlines()
    assert lines[0] == "toolchain 'ours': its packages could not be installed"
    assert any("tinypkg==9.9" in line for line in lines[1:-1])
    assert lines[-1] == (
        "  hint: `mlbuild doctor` checks Python, index and disk; `pip config list` shows the index"
    )
    assert [p.suffix for p in toolchains.folder.iterdir()] == [".lock"]


@pytest.mark.slow
def test_pip_is_tried_when_uv_fails(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLBUILD_INSTALLER")
    monkeypatch.setenv("UV_CACHE_DIR", "/dev/null/no")
    heard = Heard()
    toolchains = _ours(tmp_path / "p")
    python = toolchains.ensure("ours", heard)
    assert "ours: uv failed, trying pip" in heard.texts
    assert _run(python, "import tinypkg; print(tinypkg.version)") == "1.0"
    script = subprocess.run([python.parent / "tinypkg"], capture_output=True, text=True)
    assert script.stdout == "1.0\n"


def test_a_package_beyond_the_pins_is_named(
    wheelhouse: Path, make_wheel: object, tmp_path: Path
) -> None:
    make_wheel("needy", "1.0", needs="tinypkg")  # type: ignore[operator]
    heard = Heard()
    _ours(tmp_path / "p", "needy==1.0").ensure("ours", heard)
    assert heard.texts[-2] == "ours: also installed, without a pin of yours: tinypkg"


def test_verify_names_what_is_not_as_pinned(wheelhouse: Path, tmp_path: Path) -> None:
    toolchains = _ours(tmp_path / "p")
    assert toolchains.verify("ours") == ("it is not made",)
    toolchains.ensure("ours", Heard())
    assert toolchains.verify("ours") == ()
    pinned = (Pin("tinypkg", "2.0"), Pin("absent", "1"), Pin("x", "1", marker="os_name == 'nt'"))
    lock = Lock("ours", MINOR, pinned, preload=("tinypkg", "no_such_module"))
    assert inspect(lock, toolchains.path("ours")).problems == (
        "tinypkg==2.0 is pinned, 1.0 is installed",
        "absent==1 is pinned, it is not installed",
        "module 'no_such_module' cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module'",
    )


def test_an_environment_whose_interpreter_went_away_is_made_anew(
    wheelhouse: Path, tmp_path: Path
) -> None:
    toolchains = _ours(tmp_path / "p")
    python = toolchains.ensure("ours", Heard())
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert [e.state for e in toolchains.listing() if e.name == "ours"] == ["broken"]
    assert _run(toolchains.ensure("ours", Heard()), "print(1)") == "1"


def test_listing_and_removing(wheelhouse: Path, tmp_path: Path) -> None:
    old = _ours(tmp_path / "p", "tinypkg==1.0")
    old.ensure("ours", Heard())
    new = _ours(tmp_path / "p", "tinypkg==2.0")
    states = {e.name: e.state for e in new.listing()}
    here = environments._machine()
    built_in = {
        name: "not made" if here in pins.builtin(name).platforms else "not here"
        for name in pins.builtin_names()
    }
    assert states == {"ours": "not made", old.path("ours").name: "old"} | built_in
    new.ensure("ours", Heard())
    entry = next(e for e in new.listing() if e.name == "ours")
    assert (entry.state, entry.path) == ("ready", new.path("ours"))
    assert entry.size and entry.last_use
    assert entry.python.startswith(MINOR + ".")
    assert new.remove(old.path("ours").name) > 0
    assert new.remove("ours") > 0
    assert new.remove("ours") == 0
    assert not [p for p in new.folder.iterdir() if p.is_dir()]


def test_an_unknown_toolchain_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Toolchains(tmp_path, {}).digest("troch")
    assert caught.value.render() == (
        "unknown toolchain 'troch'\n"
        "  allowed: caffe, classical, core-ai, executorch, jax, litert, onnx, release, tensorflow, "
        "torch, turicreate\n"
        "  hint: did you mean 'torch'?"
    )


def test_a_python_that_nobody_has_is_an_error(wheelhouse: Path, tmp_path: Path) -> None:
    toolchains = Toolchains(
        tmp_path, {"ours": ToolchainSpec("ours", "3.99", "r.txt")}, offline=True
    )
    (tmp_path / "r.txt").write_text("tinypkg==1.0")
    with pytest.raises(ToolchainError) as caught:
        toolchains.ensure("ours", Heard())
    assert caught.value.render() == (
        "no Python 3.99 was found\n"
        "  got: --offline forbids downloading it\n"
        "  hint: install one with `uv python install 3.99` or `pyenv install 3.99`"
    )


def test_a_full_disk_is_told_before_anything_is_installed(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = environments.shutil.disk_usage("/")
    monkeypatch.setattr(environments.shutil, "disk_usage", lambda _: usage._replace(free=5e6))
    toolchains = _ours(tmp_path / "p")
    with pytest.raises(ToolchainError) as caught:
        toolchains.ensure("ours", Heard())
    assert caught.value.render() == (
        f"toolchain 'ours': not enough space in {toolchains.folder}\n"
        "  got: 5 MB free, about 300 MB needed\n"
        "  hint: free the disk, or move the cache with MLBUILD_CACHE_DIR"
    )


def test_a_cache_that_cannot_be_written_is_an_error(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLBUILD_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ToolchainError, match="toolchain 'ours' could not be made"):
        _ours(tmp_path / "p").ensure("ours", Heard())


def test_an_unknown_installer_is_refused(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUILD_INSTALLER", "conda")
    with pytest.raises(UsageError) as caught:
        _ours(tmp_path / "p").ensure("ours", Heard())
    assert caught.value.render() == (
        "MLBUILD_INSTALLER names no installer\n  got: conda\n  allowed: uv, pip"
    )


def test_offline_still_uses_what_is_on_this_machine(wheelhouse: Path, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("tinypkg==1.0")
    spec = {"ours": ToolchainSpec("ours", MINOR, "r.txt")}
    python = Toolchains(tmp_path, spec, offline=True).ensure("ours", Heard())
    assert _run(python, "import tinypkg; print(tinypkg.version)") == "1.0"


def test_what_is_not_as_pinned_after_installing_is_not_kept(
    wheelhouse: Path, tmp_path: Path
) -> None:
    lock = Lock("ours", MINOR, (Pin("tinypkg", "1.0"),), preload=("no_such_module",))
    with pytest.raises(ToolchainError) as caught:
        make(lock, tmp_path / "scratch", tmp_path / "final", offline=False, say=lambda _: None)
    assert caught.value.render() == (
        "toolchain 'ours': what was installed is not what its lock says\n"
        "  got: module 'no_such_module' cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
        "  hint: `pip config list` shows which package index and constraints are in force"
    )


def test_an_index_that_is_down_never_shows_its_password(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    heard = Heard()
    with pytest.raises(ToolchainError, match="its packages could not be installed") as caught:
        _ours(tmp_path / "p", "absent==1.0").ensure("ours", heard)
    assert "127.0.0.1:9" in caught.value.render()
    assert "secret" not in caught.value.render() + str(heard.texts)


def test_a_name_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("tinypkg==1.0")
    names = ["../../evil", "a b/c", "..."]
    toolchains = Toolchains(tmp_path, {n: ToolchainSpec(n, MINOR, "r.txt") for n in names})
    assert {toolchains.path(n).parent for n in names} == {toolchains.folder}


@pytest.mark.slow
def test_the_torch_toolchain_of_this_machine_is_what_its_lock_says(tmp_path: Path) -> None:
    toolchains = Toolchains(tmp_path, {})
    if toolchains.python("torch") is None:
        pytest.skip("it has not been made here")
    assert toolchains.verify("torch") == ()


def test_a_toolchain_of_another_platform_is_refused_before_anything_is_made(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "_machine", lambda: "darwin-arm64")
    toolchains = Toolchains(tmp_path, {})
    with pytest.raises(ToolchainError) as caught:
        toolchains.ensure("turicreate", Heard())
    assert caught.value.render() == (
        "toolchain 'turicreate' does not exist for this machine\n"
        "  got: darwin-arm64\n"
        "  allowed: linux-x86_64\n"
        "  hint: build its stages on such a machine; `mlbuild push` and `pull` share results"
    )
    states = {entry.name: entry.state for entry in toolchains.listing()}
    assert (states["turicreate"], states["torch"]) == ("not here", "not made")
    told = next(f for f in examine(toolchains, ["turicreate"]) if "turicreate" in f.what)
    assert (told.state, told.text) == ("note", "does not exist for this platform")


def test_one_that_is_not_made_tells_what_it_will_take(wheelhouse: Path, tmp_path: Path) -> None:
    entry = next(e for e in Toolchains(tmp_path, {}).listing() if e.name == "torch")
    assert (entry.size, entry.needs) == (None, pins.builtin("torch").size_mb * 10**6)


def test_modules_are_imported_in_the_variables_of_the_toolchain(
    wheelhouse: Path, make_wheel: object, tmp_path: Path
) -> None:
    source = "import os\nif os.environ.get('LEGACY') != '1': raise ImportError('no LEGACY')\n"
    make_wheel("picky", "1.0", source=source)  # type: ignore[operator]
    lock = Lock("ours", MINOR, (Pin("picky", "1.0"),), imports=("picky",))
    made = make(
        replace(lock, environ=(("LEGACY", "1"),)),
        tmp_path / "scratch",
        tmp_path / "final",
        offline=False,
        say=lambda _: None,
    )
    assert made.packages["picky"] == "1.0"
    assert inspect(lock, tmp_path / "scratch").problems == (
        "module 'picky' cannot be imported: ImportError: no LEGACY",
    )
