"""Asks Core ML itself, through coremltools, on each compute unit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..package import open_model
from .digest import model_digest
from .folder import INPUTS, Golden, write_golden
from .mac import UNITS, Open, core_ml, this_system


def record(
    model: str | Path,
    samples: Mapping[str, Mapping[str, Any]],
    folder: str | Path,
    *,
    units: Sequence[str] = UNITS,
    opened: Open | None = None,
    system: Mapping[str, Any] | None = None,
) -> Golden:
    """Ask a model on each compute unit and write inputs and answers into a folder.

    Args:
        model: An ``.mlpackage`` or ``.mlmodel``.
        samples: Inputs by name of sample, see ``read_samples``.
        folder: Where to write; what it held of a former recording is replaced.
        units: Names of ``UNITS``.
        opened: Opens a model on a compute unit; by default Core ML itself (macOS only).
        system: What answered; by default this machine.

    Raises:
        UnsupportedError: this is no Mac.
        InputError: no samples, or an unknown unit.
    """
    model, folder = Path(model), Path(folder)
    if not samples:
        raise InputError("a recording needs at least one sample")
    if unknown := sorted(set(units) - set(UNITS)):
        raise InputError("no such compute unit", got=", ".join(unknown), allowed=UNITS)
    opened = opened or core_ml()
    kind = str(open_model(model).spec.WhichOneof("Type"))
    parts: dict[str, list[dict[str, Any]]] = {INPUTS: [dict(v) for v in samples.values()]}
    for unit in units:
        predict = opened(model, unit)
        parts[unit] = [dict(predict(values)) for values in samples.values()]
    facts = {
        "path": os.path.relpath(model.resolve(), folder.resolve()),
        "sha256": model_digest(model),
        "type": kind,
    }
    return write_golden(folder, facts, system or this_system(), list(samples), parts)
