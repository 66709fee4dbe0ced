"""The suites that need a toolchain's packages, run by that toolchain's own interpreter.

The engine's environment has none of them; the toolchains have no test tools. pytest and hypothesis
are put into a folder beside the toolchains and onto the path, so that pinned environments stay as
they are.
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
# The last that run there, with what pip leaves out because it asks its own Python's version.
_OLD = ("pytest==8.3.5", "hypothesis==6.113.0", "exceptiongroup==1.2.2", "tomli==2.2.1")
_TOOLS_OF_OLD_PYTHONS = {"3.8": _OLD}
# One folder for each toolchain that has tests of its own.
_FOLDERS = sorted(f.name for f in (ROOT / "tests" / "stages_in").iterdir() if any(f.glob("test_*")))


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize("suite", ["tests/coreml", "tests/stages"])
def test_the_suite_passes_in_the_torch_toolchain(suite: str) -> None:
    run("torch", suite)


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize("toolchain", _FOLDERS)
def test_the_kinds_pass_in_their_own_toolchain(toolchain: str) -> None:
    told = run(toolchain, f"tests/stages_in/{toolchain}")
    assert "skipped" not in told


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.campaign
def test_references_in_onnx_pass_in_the_onnx_toolchain() -> None:
    told = run("onnx", "tests/coreml/test_compare_onnx.py")
    assert "skipped" not in told


def run(toolchain: str, suite: str) -> str:
    """What pytest printed; the suite must pass."""
    toolchains = Toolchains(ROOT, {})
    python = toolchains.ensure(toolchain, _tell)
    tools = _tools(toolchains.lock(toolchain).python)
    only = ("-m", "toolchain and not campaign", "-q", "-p", "no:cacheprovider")
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"},
        **dict(toolchains.lock(toolchain).environ),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tools)]),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [str(python), "-m", "pytest", suite, *only],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=2400,
    )  # fmt: skip
    print(done.stdout[-6000:], done.stderr[-2000:])
    assert done.returncode == 0
    return done.stdout


def _tell(done: float, total: float | None, text: str) -> None:
    print(text, file=sys.stderr)


def _tools(version: str) -> Path:
    """A folder with the test tools, kept in the user's cache."""
    wanted = _TOOLS_OF_OLD_PYTHONS.get(version, _TOOLS)
    folder = cache_dir() / "test-tools" / "-".join(t.replace("==", "-") for t in wanted)
    if not (folder / "complete").exists():
        pip = (sys.executable, "-m", "pip")
        # hypothesis is pure Python there; nothing is built.
        chosen = ("--python-version", version, "--only-binary=:all:")
        subprocess.run([*pip, "install", "-q", "--target", folder, *chosen, *wanted], check=True)
        (folder / "complete").touch()
    return folder
