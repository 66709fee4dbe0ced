"""The runtime without the engine: the wheel alone, beside torch, numpy and coremltools.

A project that knows nothing of pipelines adds one line to its pytest configuration, and its tests
that call coremltools' ``predict`` run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.conformance.tools import Tools, install, make_tools

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.toolchain, pytest.mark.slow]

PROJECT = {
    "pyproject.toml": """
[tool.pytest.ini_options]
addopts = "-p mlbuild.coreml.dropin.pytest_plugin"
""",
    "test_theirs.py": """
import importlib.util

import coremltools as ct
import numpy as np
import torch
from coremltools._deps import _IS_MACOS


def test_a_conversion_is_right():
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).eval()
    x = torch.randn(2, 4)
    model = ct.convert(
        torch.jit.trace(net, x),
        inputs=[ct.TensorType(name="x", shape=(2, 4))],
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
    )
    (answer,) = model.predict({"x": x.numpy()}).values()
    np.testing.assert_allclose(answer, net(x).detach().numpy(), atol=1e-5)
    assert _IS_MACOS and ct.utils._is_macos()


def test_a_wrong_expectation_fails():
    spec = ct.convert(
        torch.jit.trace(torch.nn.Tanh(), torch.zeros(3)),
        inputs=[ct.TensorType(name="x", shape=(3,))],
        minimum_deployment_target=ct.target.iOS16,
    )
    (answer,) = spec.predict({"x": np.ones(3, np.float32)}).values()
    np.testing.assert_allclose(answer, 1.0, atol=1e-3)


def test_nothing_of_the_engine_is_there():
    for name in ("pydantic", "click", "dvc", "ruamel", "blake3", "rich"):
        assert importlib.util.find_spec(name) is None
""",
    "library.py": """
import sys

import mlbuild

print(sorted(name for name in sys.modules if name.startswith("mlbuild")))
from mlbuild.coreml import load

try:
    load("missing.mlpackage")
except Exception as error:
    print(type(error).__name__, error)
print(sorted({n.split(".")[1] for n in sys.modules if n.startswith("mlbuild.")}))
""",
}


@pytest.fixture(scope="module")
def tools() -> Tools:
    return make_tools(None, ())


@pytest.fixture(scope="module")
def installed(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel, without anything that the wheel requires."""
    place = tmp_path_factory.mktemp("alone")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", place, ROOT]
    subprocess.run(list(map(str, build)), check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    install(tools.python, place / "lib", (str(wheel),))
    return place / "lib"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(tools: Tools, installed: Path, project: Path, *arguments: str) -> tuple[int, str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "PYTHONPATH": os.pathsep.join(map(str, (installed, *tools.folders))),
        "OMP_NUM_THREADS": "1",
    }
    command = [str(tools.python), *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_one_line_of_configuration_makes_tests_of_predictions_run(
    tools: Tools, installed: Path, project: Path
) -> None:
    code, text = run(tools, installed, project, "-m", "pytest", "-q", "-W", "ignore", "-rA")
    assert code == 1, text
    assert "PASSED test_theirs.py::test_a_conversion_is_right" in text
    assert "PASSED test_theirs.py::test_nothing_of_the_engine_is_there" in text
    assert "FAILED test_theirs.py::test_a_wrong_expectation_fails" in text
    assert "2 passed" in text and "1 failed" in text


def test_without_the_line_predictions_do_not_run(
    tools: Tools, installed: Path, project: Path
) -> None:
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    code, text = run(
        tools, installed, project, "-m", "pytest", "-q", "-W", "ignore", "-k", "conversion_is_right"
    )
    assert code == 1
    assert "Model prediction is only supported on macOS version 10.13 or later." in text


def test_the_library_imports_nothing_of_the_engine(
    tools: Tools, installed: Path, project: Path
) -> None:
    code, text = run(tools, installed, project, "library.py")
    assert code == 0, text
    assert text.splitlines() == [
        "['mlbuild']",
        "ModelFileError missing.mlpackage: there is no such model",
        "['coreml']",
    ]
