"""Where a converted model parts from its source, and which operator it is.

>>> from mlbuild.coreml.compare import TorchReference, compare
>>> found = compare(TorchReference(net), "Net.mlpackage", [{"x": array}])
>>> found.guilty.operator.type, found.guilty.why
"""

from __future__ import annotations

from .against import compare
from .comparison import Comparison, Guilty, Row
from .figures import Figures, figures
from .recording import Recorded, Recording, Reference
from .torch_reference import TorchReference

__all__ = [
    "Comparison",
    "Figures",
    "Guilty",
    "Recorded",
    "Recording",
    "Reference",
    "Row",
    "TorchReference",
    "compare",
    "figures",
]
