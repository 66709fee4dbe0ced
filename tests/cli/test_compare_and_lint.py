"""`mlbuild compare` and `mlbuild lint` in the real toolchain."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir
from tests.conftest import Done

Run = Callable[..., Done]

# A right conversion, and one whose last operator is another one.
MAKE = """
import sys
import coremltools as ct, torch

torch.manual_seed(0)
linear = torch.nn.Linear(8, 4)
right = torch.nn.Sequential(linear, torch.nn.Softmax(-1)).eval()
wrong = torch.nn.Sequential(linear, torch.nn.Sigmoid()).eval()
for name, module in {"Right": right, "Wrong": wrong}.items():
    traced = torch.jit.trace(module, torch.zeros(2, 8))
    model = ct.convert(
        traced, inputs=[ct.TensorType("x", (2, 8))], minimum_deployment_target=ct.target.iOS17
    )
    model.save(f"{sys.argv[1]}/{name}.mlpackage")
torch.jit.trace(right, torch.zeros(2, 8)).save(sys.argv[1] + "/right.pt")
"""


@pytest.fixture(scope="module")
def cache() -> Path:
    return cache_dir()


@pytest.fixture(scope="module")
def made(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    python = Toolchains(folder, {}, cache).ensure("torch", lambda done, total, text: None)
    subprocess.run([python, "-c", MAKE, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def _real_cache(project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolchain is big: it is the user's own, not one of this test."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(cache))


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_compare_names_the_operator_that_is_another_one(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/right.pt", f"{made}/Wrong.mlpackage", "--trust")
    assert done.code == 0, done.err
    assert "guilty: iOS17.sigmoid" in done.out


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_compare_accuses_nobody_of_a_right_conversion(made: Path, mlbuild: Run) -> None:
    done = mlbuild("compare", f"{made}/right.pt", f"{made}/Right.mlpackage", "--trust", "--json")
    assert json.loads(done.out)["guilty"] is None


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_lint_finds_nothing_in_a_sound_model(made: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", f"{made}/Right.mlpackage", "--strict")
    assert (done.code, done.out) == (0, "nothing found\n"), done.err


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
def test_lint_strict_fails_on_a_model_for_newer_systems(made: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", f"{made}/Right.mlpackage", "--strict", "--target", "iOS16")
    assert done.code == 1
    assert "error: function main: its operators are those of iOS17" in done.out


def test_a_file_that_may_run_code_is_loaded_only_when_trusted(project: Path, mlbuild: Run) -> None:
    (project / "net.pt").touch()
    done = mlbuild("compare", "net.pt", "Net.mlpackage")
    assert done.code == 2
    assert "a file of this kind may run code when it is loaded" in done.err
    assert "add --trust if you know where it comes from" in done.err


def test_a_reference_that_cannot_be_read_is_refused(project: Path, mlbuild: Run) -> None:
    (project / "net.txt").touch()
    done = mlbuild("compare", "net.txt", "Net.mlpackage")
    assert done.code == 2
    assert "net.txt: not a reference that can be read" in done.err


def test_samples_that_are_not_there_are_told(project: Path, mlbuild: Run) -> None:
    done = mlbuild("lint", "Net.mlpackage", "--samples", "photos")
    assert done.code == 2
    assert "--samples photos: there is no such file or folder" in done.err
