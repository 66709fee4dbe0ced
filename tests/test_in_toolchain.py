"""The suites that need torch and coremltools, run by the toolchain's own interpreter.

The engine's environment has neither; the toolchain has no test tools. pytest and hypothesis are put
into a folder beside the toolchain and onto the path, so that the pinned environment stays as it is.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir

ROOT = Path(__file__).parents[1]
_TOOLS = ("pytest==9.2.0", "hypothesis==6.170.15")


@pytest.fixture(scope="module")
def python() -> Path:
    def tell(done: float, total: float | None, text: str) -> None:
        print(f"torch: {text}", file=sys.stderr)

    return Toolchains(ROOT, {}).ensure("torch", tell)


@pytest.fixture(scope="module")
def tools(python: Path) -> Path:
    """A folder with the test tools, kept in the user's cache."""
    folder = cache_dir() / "test-tools" / "-".join(t.replace("==", "-") for t in _TOOLS)
    if not (folder / "complete").exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", folder, *_TOOLS], check=True
        )
        (folder / "complete").touch()
    return folder


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize("suite", ["tests/coreml", "tests/stages"])
def test_the_suite_passes_in_the_torch_toolchain(suite: str, python: Path, tools: Path) -> None:
    run(python, tools, suite)


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.campaign
def test_references_in_onnx_pass_in_the_onnx_toolchain(tools: Path) -> None:
    python = Toolchains(ROOT, {}).ensure("onnx", lambda done, total, text: None)
    told = run(python, tools, "tests/coreml/test_compare_onnx.py")
    assert "skipped" not in told


def run(python: Path, tools: Path, suite: str) -> str:
    command = [
        str(python),
        "-m",
        "pytest",
        suite,
        "-m",
        "toolchain and not campaign",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"},
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tools)]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2400
    )
    print(done.stdout[-6000:], done.stderr[-2000:])
    assert done.returncode == 0
    return done.stdout
