"""The module that stands where coremltools has its extension for Core ML.

It is empty until coremltools asks for a name: the classes need torch, which is not imported for a
test-suite that never touches a model.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from ..body import Options

LIBRARY = "coremltools.libcoremlpython"

# How models are run that are loaded from now on.
options = Options()

# Names that coremltools imports from the extension, and the classes that serve them.
NAMES = {
    "_MLModelProxy": "Proxy",
    "_MLModelAssetProxy": "Asset",
    "_MLComputePlanProxy": "ComputePlan",
    "_MLCPUComputeDeviceProxy": "CPUDevice",
    "_MLGPUComputeDeviceProxy": "GPUDevice",
    "_MLNeuralEngineComputeDeviceProxy": "NeuralEngineDevice",
}


def proxies() -> dict[str, Any]:
    """The classes by the names that coremltools has for them."""
    module = import_module(f"{__package__}.proxy")
    return {name: getattr(module, ours) for name, ours in NAMES.items()}


def _find(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {LIBRARY!r} has no attribute {name!r}")
    return proxies()[name]


library = ModuleType(LIBRARY, "Core ML predictions by mlbuild's reference runtime.")
vars(library)["__getattr__"] = _find
