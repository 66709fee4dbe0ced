"""Log-mel energies as layers that every converter knows: a convolution and a matrix product.

The mel scale is 2595 log10(1 + f / 700) (O'Shaughnessy, Speech Communication, 1987); filters are
triangles of height 1 between equally spaced mels. Windows are periodic Hann windows, scaled so that
a full-scale sine in the middle of a bin has power 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

FLOOR = 1e-8  # added to powers before the logarithm: -80 dB


class LogMel(nn.Module):
    """Natural logarithm of the power in each mel band, frame by frame, without padding."""

    def __init__(self, rate: int, fft: int, hop: int, bands: int, low: float, high: float) -> None:
        super().__init__()
        self.bands, self.fft, self.hop = bands, fft, hop
        kernels = torch.from_numpy(fourier(fft)).float().unsqueeze(1)
        weights = torch.from_numpy(filters(rate, fft, bands, low, high)).float()
        # They follow from the arguments: the file of weights need not hold them.
        self.register_buffer("kernels", kernels, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def frames(self, samples: int) -> int:
        """How many frames so many samples have."""
        return (samples - self.fft) // self.hop + 1

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Shapes [N, samples] -> [N, bands, frames]."""
        waves = nn.functional.conv1d(audio.unsqueeze(1), self.kernels, stride=self.hop)
        cosine, sine = waves.chunk(2, dim=1)
        power = cosine * cosine + sine * sine
        return torch.log(torch.matmul(self.weights, power) + FLOOR)


def fourier(fft: int) -> np.ndarray:
    """Windowed cosines, then sines, of each bin, shape [2 * (fft // 2 + 1), fft]."""
    times = np.arange(fft)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * times / fft)
    angles = 2 * np.pi * np.outer(np.arange(fft // 2 + 1), times) / fft
    scaled = window * (2 / window.sum())
    return np.concatenate([np.cos(angles) * scaled, -np.sin(angles) * scaled])


def filters(rate: int, fft: int, bands: int, low: float, high: float) -> np.ndarray:
    """Weights of bins in bands, shape [bands, fft // 2 + 1]."""
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    bins = np.arange(fft // 2 + 1) * rate / fft
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def empty_bands(rate: int, fft: int, bands: int, low: float, high: float) -> int:
    """How many bands lie between two bins and hear nothing."""
    return int((filters(rate, fft, bands, low, high).sum(axis=1) == 0).sum())


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
