"""What is wrong with a Core ML model, or will be on a device.

>>> from mlbuild.coreml.lint import lint
>>> for finding in lint("Net.mlpackage", samples):
...     print(finding.severity, finding.place, finding.what)
"""

from __future__ import annotations

from .check import lint
from .finding import Finding

__all__ = ["Finding", "lint"]
