"""What a sound needs before VGGish sees it: the logarithm of its mel spectrogram.

15,600 samples at 16 kHz become 96 frames of 400 samples, 160 apart; each is multiplied by a
periodic Hann window and transformed (512 points, magnitudes). 64 triangular filters between 125
and 7,500 Hz add them up, and the result is ln(x + 0.01). The specification leaves the filters
to the paper: here they are evenly spaced, and linear, in mels of 1127 ln(1 + f / 700), and the
constant part of the spectrum counts in none, as in the authors' published parameters.

Source: Core ML specification, SoundAnalysisPreprocessing.proto (Vggish); Hershey et al., CNN
Architectures for Large-Scale Audio Classification, 2017 (arXiv 1609.09430).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import InputError
from ..kind import Computation, Given, kind
from ..vectors import flat

_RATE, _SAMPLES = 16000, 15600
_WINDOW, _HOP, _POINTS = 400, 160, 512
_BANDS, _LOW, _HIGH, _OFFSET = 64, 125.0, 7500.0, 0.01


@kind("soundAnalysisPreprocessing")
def sound_analysis(given: Given) -> Computation:
    """An array [1, 96, 64] from 15,600 samples."""
    if given.params.WhichOneof("SoundAnalysisPreprocessingType") != "vggish":
        raise given.wrong("there is no type of preprocessing")
    source = given.one_input("multi_array").name
    target = given.one_output("multi_array").name
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    filters = _filters()

    def run(values: Mapping[str, Any]) -> Ran:
        samples = flat(values[source])
        if len(samples) != _SAMPLES:
            raise InputError(
                "the wrong number of samples",
                place=f"input '{source}'",
                got=str(len(samples)),
                allowed=(f"{_SAMPLES}",),
            )
        frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
        magnitudes = np.abs(np.fft.rfft(frames * window, _POINTS))
        spectrogram = np.log(magnitudes @ filters + _OFFSET)
        return Ran({target: spectrogram[None]}, {"magnitudes": magnitudes})

    return Computation(run, values=("magnitudes",))


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def _filters() -> Any:
    """How much each frequency adds to each band, [frequencies, bands]."""
    mels = _mel(np.linspace(0.0, _RATE / 2, _POINTS // 2 + 1))[:, None]
    edges = np.linspace(_mel(_LOW), _mel(_HIGH), _BANDS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (mels - low) / (middle - low), (high - mels) / (high - middle)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0
    return filters
