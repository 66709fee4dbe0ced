"""`mlbuild golden`: refused where there is no Core ML; checked in the real toolchain."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir
from tests.conftest import Done

Run = Callable[..., Done]

# A recording as a Mac would make it, with a double that answers twice what the model says on the
# second unit.
MAKE = """
import sys
import coremltools as ct, numpy as np, torch
from mlbuild.coreml import load
from mlbuild.coreml.golden import record

folder = sys.argv[1]
model = ct.convert(
    torch.jit.trace(torch.nn.Tanh(), torch.zeros(1, 4)), inputs=[ct.TensorType("x", (1, 4))],
    outputs=[ct.TensorType("y")], minimum_deployment_target=ct.target.iOS17,
)
model.save(folder + "/Net.mlpackage")

def opened(path, unit):
    net, factor = load(path), 1 if unit == "CPU_ONLY" else 2
    return lambda values: {"y": net.predict(values)["y"] * factor}

samples = {"a": {"x": np.linspace(-1, 1, 4, dtype=np.float32)[None]}}
for name, units in (("right", ["CPU_ONLY"]), ("wrong", ["CPU_ONLY", "ALL"])):
    record(folder + "/Net.mlpackage", samples, f"{folder}/{name}/Net", units=units,
           opened=opened, system={"os": "macOS 26.1", "device": "Mac16,1", "coremltools": "9.0"})
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Core ML")
def test_recording_is_refused_where_there_is_no_core_ml(mlbuild: Run, project: Path) -> None:
    done = mlbuild("golden", "record", "golden", "--model", "a.mlpackage", "--samples", "photos")

    assert done.code == 2
    assert done.err == (
        "golden answers are Core ML's own, which only macOS has\n"
        "  got: Linux\n"
        "  hint: record on a Mac, keep the folder in version control, and check it here\n"
    )
    assert not (project / "golden").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    python = Toolchains(folder, {}, cache_dir()).ensure("torch", lambda done, total, text: None)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([python, "-c", MAKE, folder], check=True, capture_output=True, env=environment)
    return folder


@pytest.fixture
def _real_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(cache_dir()))


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.usefixtures("_real_cache")
class TestCheck:
    def test_answers_within_their_tolerance_end_with_0(self, made: Path, mlbuild: Run) -> None:
        done = mlbuild("golden", "check", made / "right")

        assert done.code == 0, done.err
        lines = done.out.splitlines()
        assert lines[0] == f"{made}/right/Net: 1 samples, macOS 26.1, Mac16,1, 9.0"
        assert lines[1].startswith("  ok   CPU_ONLY    y: 200.0 dB (at least 40), ")

    def test_answers_outside_end_with_1(self, made: Path, mlbuild: Run) -> None:
        done = mlbuild("golden", "check", made / "wrong", "--json")
        answer = json.loads(done.out)

        assert done.code == 1
        assert not answer["within"]
        findings = answer["recordings"][0]["findings"]
        assert {f["unit"]: f["within"] for f in findings} == {"CPU_ONLY": True, "ALL": False}

    def test_a_damaged_recording_ends_with_4(self, made: Path, mlbuild: Run) -> None:
        answers = made / "right" / "Net" / "cpu_only.json"
        before = answers.read_bytes()
        answers.write_bytes(before + b" ")
        try:
            done = mlbuild("golden", "check", made / "right")
        finally:
            answers.write_bytes(before)

        assert done.code == 4
        assert "a file of the recording is not what was recorded" in done.err
        assert "Traceback" not in done.err

    def test_a_folder_without_recordings_ends_with_4(
        self, made: Path, mlbuild: Run, project: Path
    ) -> None:
        done = mlbuild("golden", "check", project)

        assert done.code == 4
        assert "there is no golden.json here or below" in done.err
