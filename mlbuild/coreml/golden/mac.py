"""Core ML itself, through coremltools, on a Mac. A self-test carries a copy of this file."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError

UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")

Predict = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Open = Callable[[Path, str], Predict]


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
