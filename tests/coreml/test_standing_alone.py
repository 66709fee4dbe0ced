"""The runtime needs nothing else of mlbuild, and shares coremltools' message classes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

ROOT = Path(__file__).parents[2]


def python(code, *paths):
    """Run code in a fresh interpreter that sees only these folders."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(str(p) for p in paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_imports_nothing_else_of_mlbuild(tmp_path):
    (tmp_path / "mlbuild").mkdir()
    (tmp_path / "mlbuild" / "coreml").symlink_to(ROOT / "mlbuild" / "coreml")
    code = """
import sys
import mlbuild.coreml.model, mlbuild.coreml.inspect, mlbuild.coreml.images
from mlbuild.coreml.mil.operator import supported
assert len(supported()) > 100
print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('mlbuild.')}))
print('coremltools' in sys.modules)
"""
    assert python(code, tmp_path) == "['coreml']\nFalse\n"


def test_inspecting_needs_no_torch():
    code = "import sys, mlbuild.coreml.inspect; print('torch' in sys.modules, 'PIL' in sys.modules)"
    assert python(code, ROOT) == "False False\n"


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_message_classes_are_shared_with_coremltools(first):
    ours = "from mlbuild.coreml.protos import mil_proto, model_proto; model_proto(); mil_proto()"
    imports = [ours, "import coremltools as ct"]
    if first == "theirs":
        imports.reverse()
    check = "print(ct.proto.Model_pb2 is model_proto(), ct.proto.MIL_pb2 is mil_proto())"
    assert python("\n".join([*imports, check]), ROOT) == "True True\n"


def test_every_operator_names_the_source_of_its_semantics():
    files = sorted((ROOT / "mlbuild" / "coreml" / "mil" / "ops").glob("*.py"))
    silent = [f.name for f in files if f.name != "__init__.py" and "Source: " not in f.read_text()]
    assert silent == []
