"""Asks Core ML itself, through coremltools, on each compute unit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, UnsupportedError
from ..package import open_model
from .digest import model_digest
from .folder import INPUTS, Golden, write_golden

UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")

Predict = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Open = Callable[[Path, str], Predict]


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


def core_ml() -> Open:
    """What opens models in Core ML itself.

    Raises:
        UnsupportedError: this is no Mac.
    """
    if platform.system() != "Darwin":
        raise UnsupportedError(
            "golden answers are Core ML's own, which only macOS has",
            got=platform.system(),
            hint="record on a Mac and keep the folder in version control; "
            "`mlbuild golden check` holds it against the reference runtime anywhere",
        )
    return _open


def _open(path: Path, unit: str) -> Predict:
    import coremltools as ct  # takes seconds, and only a Mac can use it

    model = ct.models.MLModel(str(path), compute_units=getattr(ct.ComputeUnit, unit))
    if not model.get_spec().description.state:
        return model.predict  # type: ignore[no-any-return]
    return lambda values: model.predict(dict(values), state=model.make_state())


def this_system() -> dict[str, Any]:
    """The version of the system, the device, the versions of what asked it."""
    import coremltools as ct  # takes seconds, and is here only for its version

    return {
        "os": f"macOS {platform.mac_ver()[0]}",
        "build": _sysctl("kern.osversion"),
        "device": _sysctl("hw.model"),
        "chip": _sysctl("machdep.cpu.brand_string"),
        "coremltools": ct.__version__,
        "python": platform.python_version(),
    }


def _sysctl(name: str) -> str:
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
