"""Where a converted model parts from its source, and which operator it is.

>>> from mlbuild.coreml.compare import TorchReference, compare
>>> found = compare(TorchReference(net), "Net.mlpackage", [{"x": array}])
>>> found.guilty.operator.type, found.guilty.why
"""

from __future__ import annotations

from .against import compare
from .comparison import Comparison, Guilty, Row
from .coreml_reference import CoreMLReference
from .figures import Figures, figures
from .keras_reference import KerasReference
from .onnx_reference import OnnxReference
from .recording import Recorded, Recording, Reference
from .sampling import random_samples, read_samples
from .sklearn_reference import SklearnReference
from .torch_reference import TorchReference

__all__ = [
    "Comparison",
    "CoreMLReference",
    "Figures",
    "Guilty",
    "KerasReference",
    "OnnxReference",
    "Recorded",
    "Recording",
    "Reference",
    "Row",
    "SklearnReference",
    "TorchReference",
    "compare",
    "figures",
    "random_samples",
    "read_samples",
]
