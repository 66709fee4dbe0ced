"""A reference runtime for Core ML models that needs no Mac.

>>> from mlbuild.coreml import load
>>> model = load("Dogs.mlpackage")
>>> model.predict({"image": "photo.png"})

Arithmetic follows Apple's published specification and the documentation of coremltools'
operators: accumulate in float32, round once to the declared type of each value. These are
reference semantics, never a claim about what a particular device computes.

Names are loaded on first use: ``inspect`` needs neither torch nor a picture library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classical.custom import register_custom_model
    from .description import Description, Feature
    from .dropin import disable_predict, enable_predict
    from .errors import CoreMLError, ExecutionError, InputError, ModelFileError, UnsupportedError
    from .inspect import summarize
    from .mil.operator import register_operator
    from .model import Model, load, top_labels
    from .nn.custom import register_layer

__all__ = [
    "CoreMLError",
    "Description",
    "ExecutionError",
    "Feature",
    "InputError",
    "Model",
    "ModelFileError",
    "UnsupportedError",
    "disable_predict",
    "enable_predict",
    "load",
    "register_custom_model",
    "register_layer",
    "register_operator",
    "summarize",
    "top_labels",
]

_HOMES = {
    "classical.custom": ("register_custom_model",),
    "dropin": ("disable_predict", "enable_predict"),
    "description": ("Description", "Feature"),
    "errors": ("CoreMLError", "ExecutionError", "InputError", "ModelFileError", "UnsupportedError"),
    "inspect": ("summarize",),
    "mil.operator": ("register_operator",),
    "nn.custom": ("register_layer",),
    "model": ("Model", "load", "load_spec", "top_labels"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
