"""The mapping of models of tables, for tests that need no stage around it."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

_STAGES = Path(__file__).resolve().parents[3] / "stages"
_ROOT = "stages_under_test"


def shared(name: str) -> Any:
    """A module of ``stages/_shared/classical``."""
    if _ROOT not in sys.modules:
        root = types.ModuleType(_ROOT)
        root.__path__ = [str(_STAGES)]
        sys.modules[_ROOT] = root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of coremltools about versions
        return importlib.import_module(f"{_ROOT}._shared.classical.{name}")


def task_of(library: str, model: Any, columns: Any, **given: Any) -> Any:
    """What ``convert/coreml`` makes of a model; columns are names, or (name, type)."""
    pairs = [c if isinstance(c, tuple) else (c, "number") for c in columns]
    names = shared("outputs").Names(target=given.pop("target_name", "prediction"))
    facts = {"description": {}, "vector": None, "labels": None, "native": None, **given}
    return shared("conversion").Task(
        library=library, model=model, columns=pairs, names=names, target="iOS16", **facts
    )


def verified(task: Any, folder: Path, samples: Any = ()) -> Any:
    """Converts and compares; the model, and how well it agrees."""
    import torch

    torch.set_num_threads(1)
    conversion = shared("conversion")
    made = conversion.make(task, folder / "weights")
    package = folder / "model.mlpackage"
    made.model.save(str(package))
    return made, conversion.check(task, made, package, list(samples))


def opened(folder: Path) -> Any:
    """The written model in the reference runtime."""
    from mlbuild.coreml import load

    return load(folder / "model.mlpackage")
