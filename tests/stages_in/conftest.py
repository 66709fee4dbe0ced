"""Suites of kinds by the toolchain that they need: ``stages_in/<toolchain>/``.

test_in_toolchain.py runs each folder in that toolchain's own Python, which may be 3.8.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_HARNESS = Path(__file__).resolve().parents[1] / "stages" / "conftest.py"


def _harness() -> Any:
    name = "kinds_harness"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _HARNESS)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def run_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``run_kind("convert/coreml", params={...}, inputs={...}, tmp_path=tmp_path) -> Ran``."""
    below = Path(str(request.node.path)).relative_to(Path(__file__).parent)
    return _harness().runner(monkeypatch, below.parts[0])
