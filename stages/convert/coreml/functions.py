"""A model of several functions: one network, one set of weights, an entry for each way to call it.

Source: coremltools documentation, Multifunction Models.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import coremltools as ct

from ..._shared.problem.problem import Problem
from .conversion import convert
from .sources import Source

_OLDEST = ct.target.iOS18


def convert_functions(source: Source, params: Any, returns: str, log: Any) -> Any:
    """Convert each function, then merge them; the first one is the default.

    Args:
        source: names the functions.
        params: of the kind.
        returns: as ``convert`` takes it.
        log: takes a line of text.

    Raises:
        Problem: the network cannot be converted.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = ct.utils.MultiFunctionDescriptor()
        for name, shapes in source.functions.items():
            part = Path(folder) / f"{name}.mlpackage"
            convert(source.function(shapes), params, returns, log).save(str(part))
            wanted.add_function(str(part), src_function_name="main", target_function_name=name)
        wanted.default_function_name = next(iter(source.functions))
        merged = Path(folder) / "merged.mlpackage"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it cannot compile what it wrote, off macOS
            ct.utils.save_multifunction(wanted, str(merged))
            weights = merged / "Data" / "com.apple.CoreML" / "weights"
            # From parts it makes a package of its own, before this folder goes.
            return ct.models.MLModel(
                ct.utils.load_spec(str(merged)), weights_dir=str(weights), skip_model_load=True
            )


def check_target(source: Source, params: Any) -> None:
    """Refuse targets that know neither functions nor states.

    Raises:
        Problem: what the model needs came with iOS 18.
    """
    if (source.functions or source.states) and getattr(ct.target, params.target) < _OLDEST:
        what = "functions" if source.functions else "states"
        raise Problem(
            f"target: {params.target} has no {what}, which this model needs",
            hint="set target: iOS18 or macOS15",
        )
