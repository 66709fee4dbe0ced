"""Core ML's protobuf classes, borrowed from the installed coremltools.

Importing coremltools runs its ``__init__``, which costs more than a second and pulls in
converters. Only the generated message classes are needed here, so they are imported below a
stand-in parent module. The submodules stay in ``sys.modules`` under their true names: protobuf
knows one global pool of descriptors, and a later real ``import coremltools`` finds and shares
what was loaded here.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

from .errors import UnsupportedError

_lock = Lock()  # a second thread must not see the stand-in


@lru_cache(maxsize=1)
def model_proto() -> Any:
    """The module ``Model_pb2``."""
    return _proto_module("Model_pb2")


@lru_cache(maxsize=1)
def mil_proto() -> Any:
    """The module ``MIL_pb2``."""
    return _proto_module("MIL_pb2")


def _proto_module(name: str) -> ModuleType:
    full = f"coremltools.proto.{name}"
    with _lock:
        if full in sys.modules:
            return sys.modules[full]
        if "coremltools" in sys.modules:
            return import_module(full)
        stand_in = _stand_in()
        sys.modules["coremltools"] = stand_in
        try:
            return import_module(full)
        finally:
            if sys.modules.get("coremltools") is stand_in:
                del sys.modules["coremltools"]


def _stand_in() -> ModuleType:
    spec = importlib.util.find_spec("coremltools")
    if spec is None or spec.submodule_search_locations is None:
        raise UnsupportedError(
            "coremltools is not installed: the Core ML message classes come from it",
            hint="pip install coremltools==9.0",
        )
    module = ModuleType("coremltools")
    module.__path__ = list(spec.submodule_search_locations)
    return module
