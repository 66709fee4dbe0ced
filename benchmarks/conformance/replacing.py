"""What a test module would take from the network, or compares by means of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.conformance import comparing


def before_import(module: Path) -> None:
    """Prepare for the import of one test module."""
    if "sklearn_tests" in module.parts or "xgboost_tests" in module.parts:
        sys.modules.setdefault("coremltools.test.utils", _data())


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
