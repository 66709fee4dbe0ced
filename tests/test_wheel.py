"""The distribution: what is built, installed elsewhere and used without the checkout."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from mlbuild.toolchains.commands import clean_environment, uv_binary
from mlbuild.toolchains.packageindex import configured

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built from the working tree."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `mlbuild` command of an environment that has only the wheel and what it needs."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (wheel,) = built.glob("*.whl")
    uv, python = uv_binary(), home / "bin/python"
    assert uv is not None
    subprocess.run(
        [uv, "pip", "install", "-q", "--no-config", "--python", python, wheel],
        check=True,
        capture_output=True,
        env=clean_environment(configured().uv_environment(os.environ)),
    )
    return home / "bin/mlbuild"


def run(command: Path, *arguments: str, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_kinds_and_the_locks_and_no_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "mlbuild/stages/convert/coreml/spec.py" in names
    assert "mlbuild/stages/convert/coreml/run_torch.py" in names
    assert "mlbuild/toolchains/locks/torch.toml" in names
    assert "mlbuild/pipeline/schema.json" in names
    assert "mlbuild/py.typed" in names
    assert not any(name.startswith(("tests/", "stages/")) for name in names)


def test_the_wheel_has_the_same_kinds_as_the_checkout(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    inside = {
        n.removeprefix("mlbuild/stages/")
        for n in zipfile.ZipFile(wheel).namelist()
        if n.startswith("mlbuild/stages/") and n.endswith(".py") and "/" in n[15:]
    }
    outside = {p.relative_to(ROOT / "stages").as_posix() for p in (ROOT / "stages").rglob("*.py")}
    assert inside == outside


def test_the_sdist_can_be_tested(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    assert {"README.md", "LICENSE", "tests/test_layers.py", "pipelines/dogs.yaml"} <= names


def test_an_installed_wheel_lists_its_kinds_without_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    assert "convert/coreml" in run(installed, "stages", cwd=tmp_path)


@pytest.mark.toolchain
def test_an_installed_wheel_runs_built_in_stages_without_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    items = tmp_path / "items"
    for label in ("a", "b"):
        for n in range(6):
            file = items / label / f"{n}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{label} {n}")
    (tmp_path / "p.yaml").write_text(
        "version: 1\nname: p\ndatasets: {items: {path: items}}\nstages:\n"
        "  split: {uses: data/split, inputs: {data: datasets.items}}\n"
    )
    out = run(installed, "run", "p.yaml", cwd=tmp_path)
    assert out.splitlines()[-1].endswith("1 ran")
