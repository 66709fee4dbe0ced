"""Figures that compare two models' outputs on the same samples.

All arithmetic is in float64. For classifiers the values compared are *centred logits*: the scores
before the softmax, less their mean over the classes. A softmax does not see a constant that is
added to all logits, so that centring loses nothing, and log-probabilities, centred, are the same
numbers: models that give logits and models that give probabilities can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

EQUAL_DB = 200.0  # stands for infinity, which no metric can hold; float64 ends near 310
_Z95 = 1.959963984540054  # of the 95 % interval of a normal distribution


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits less their mean over the last axis, float64."""
    logits = logits.astype(np.float64)
    return logits - logits.mean(axis=-1, keepdims=True)


def psnr(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Peak signal to noise ratio in dB: 20 log10(range / root mean square of the difference).

    Args:
        reference: any shape; its range is largest less smallest element, over all samples.
        candidate: the same shape.

    Returns:
        dB, at most 200, which stands for equal arrays; 0 where the reference has no range.

    Source: the figure's definition for pictures, whose peak is the range of the signal (255 for
    8 bits). Logits have no fixed range, so it is that of the reference.
    """
    reference = reference.astype(np.float64)
    noise = float(np.sqrt(np.mean((reference - candidate) ** 2)))
    span = float(reference.max() - reference.min())
    if noise == 0:
        return EQUAL_DB
    return float(min(EQUAL_DB, 20 * np.log10(span / noise))) if span else 0.0


def cosine(reference: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """Cosine of the angle between rows, shapes [N, K] -> [N]; 1 where both are zero."""
    dot = (reference * candidate).sum(axis=1)
    length = np.linalg.norm(reference, axis=1) * np.linalg.norm(candidate, axis=1)
    return np.where(length > 0, dot / np.where(length > 0, length, 1), 1.0)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def kl_divergence(reference: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence of class scores in nats, logits [N, K] -> [N].

    Sum over classes of p_reference (log p_reference - log p_candidate), never below 0.
    """
    log_p, log_q = log_softmax(reference), log_softmax(candidate)
    return np.maximum(0.0, (np.exp(log_p) * (log_p - log_q)).sum(axis=1))


def ranking(logits: np.ndarray) -> np.ndarray:
    """Classes by descending score, shapes [N, K] -> [N, K]; the lower index first among equals."""
    return np.argsort(-logits, axis=1, kind="stable")


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        return self.hits / self.n if self.n else 0.0

    def to_json(self) -> dict[str, float]:
        """As metrics record it."""
        low, high = wilson(self.hits, self.n)
        return {"value": self.value, "n": self.n, "low": low, "high": high}


def share(hits: np.ndarray) -> Share:
    """The share of true elements."""
    return Share(int(np.count_nonzero(hits)), len(hits))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At the ends the formula is exact on paper and off by a rounding error here.
    return (middle - half if hits else 0.0), (middle + half if hits < n else 1.0)
