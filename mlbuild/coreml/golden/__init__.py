"""What Core ML itself answered on a Mac, kept in a folder, and held against the runtime anywhere.

On a Mac, once for a model and a version of the system::

    from mlbuild.coreml.golden import read_samples, record
    record("Dogs.mlpackage", read_samples("Dogs.mlpackage", "photos"), "golden/Dogs")

Anywhere, as often as one likes::

    from mlbuild.coreml.golden import check
    check("golden/Dogs").within
"""

from __future__ import annotations

from .checking import Checked, check
from .folder import Golden, find, open_golden
from .judging import Finding
from .mac import UNITS, core_ml
from .recording import record
from .samples import read_samples

__all__ = [
    "UNITS",
    "Checked",
    "Finding",
    "Golden",
    "check",
    "core_ml",
    "find",
    "open_golden",
    "read_samples",
    "record",
]
