"""Tests whose own tolerance holds, though it is wider than the caps, each with its reason."""

from __future__ import annotations

import re

_ROUNDED = "expected values are written by hand, with three digits or so"
_DRAWN = "shares of random draws are compared: the tolerance is that of the sample's size"

_STATED = {
    r"test_activation\.py::TestGeLU::test_builder_to_backend_smoke": _ROUNDED,
    r"TestNormalizationInstanceNorm::test_builder_to_backend_smoke": _ROUNDED,
    r"TestNormalizationLocalResponseNorm::test_builder_to_backend_smoke": _ROUNDED,
    r"TestResample::test_builder_to_backend_smoke": _ROUNDED,
    r"TestCropResize::test_builder_to_backend_ios1": _ROUNDED,
    r"ops/tests/iOS1\d/test_random\.py::": _DRAWN,
}


def stated_reason(test: str) -> str | None:
    """Why the tolerance that a test states is left to it, None for almost all."""
    return next((why for pattern, why in _STATED.items() if re.search(pattern, test)), None)
