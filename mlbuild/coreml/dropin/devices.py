"""The kinds of device that coremltools tells apart; of these a Linux machine offers the first."""

from __future__ import annotations


class CPUDevice:
    """A processor."""


class GPUDevice:
    """A graphics processor."""


class NeuralEngineDevice:
    """A Neural Engine."""

    def get_total_core_count(self) -> int:
        """None is ever offered."""
        return 0
