"""What a test module would take from the network, or compares by means of its own."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.conformance import comparing


def before_import(module: Path) -> None:
    """Prepare for the import of one test module."""
    if "sklearn_tests" in module.parts or "xgboost_tests" in module.parts:
        sys.modules.setdefault("coremltools.test.utils", _data())
    if "frontend" in module.parts and importlib.util.find_spec("torchvision") is None:
        _pictures()


def after_import(module: ModuleType) -> None:
    """Hold a module's own comparisons to the closeness."""
    if module.__name__.endswith("test_numpy_nn_layers"):
        comparing.watch_layers(module)


def _data() -> ModuleType:
    """Boston's houses are downloaded from a site; scikit-learn has as real a table with it."""
    stand_in = ModuleType("coremltools.test.utils")

    def load_boston() -> dict[str, Any]:
        from sklearn.datasets import load_diabetes

        table = load_diabetes()
        return {
            "data": table["data"] * 100.0,
            "target": table["target"],
            "feature_names": table["feature_names"],
        }

    vars(stand_in)["load_boston"] = load_boston
    return stand_in


def _pictures() -> None:
    """No torchvision works beside the toolchain's torch; a few tests of each module want it."""
    stand_in = ModuleType("torchvision")
    stand_in.__spec__ = ModuleSpec("torchvision", None)
    sys.modules["torchvision"] = stand_in
