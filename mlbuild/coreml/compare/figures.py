"""How far one tensor is from another, in the figures that people know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Figures:
    """The distance of a value from the reference's, over all samples.

    Attributes:
        max_abs: Greatest absolute difference.
        mean_abs: Mean absolute difference.
        psnr_db: 20 log10(greatest magnitude of the reference / root mean square difference).
        cosine: Of the angle between the two as vectors.
        relative_rms: Root mean square of the difference over that of the reference.
        nan: Elements that are NaN here and not in the reference.
        inf: Elements that are infinite here and not in the reference.
    """

    max_abs: float
    mean_abs: float
    psnr_db: float
    cosine: float
    relative_rms: float
    nan: int
    inf: int

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not finite is None."""
        return {k: v if math.isfinite(v) else None for k, v in asdict(self).items()}


def figures(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> Figures:
    """Compare values on all samples; elements that are not finite are counted, not averaged.

    Args:
        ours: The candidate's, one for each sample.
        theirs: The reference's; values of other sizes are infinitely far apart.
    """
    if any(a.numel() != b.numel() for a, b in zip(ours, theirs, strict=False)):
        return Figures(math.inf, math.inf, -math.inf, math.nan, math.inf, 0, 0)
    a = torch.cat([value.double().reshape(-1) for value in ours])
    b = torch.cat([value.double().reshape(-1) for value in theirs])
    nan = int((a.isnan() & ~b.isnan()).sum())
    inf = int((a.isinf() & ~b.isinf()).sum())
    usable = a.isfinite() & b.isfinite()
    a, b = a[usable], b[usable]
    if not a.numel():
        return Figures(math.nan, math.nan, math.nan, math.nan, math.nan, nan, inf)
    delta = (a - b).abs()
    rms, size = float(delta.square().mean().sqrt()), float(b.square().mean().sqrt())
    peak, norms = float(b.abs().max()), float(a.norm() * b.norm())
    return Figures(
        max_abs=float(delta.max()),
        mean_abs=float(delta.mean()),
        psnr_db=math.inf if rms == 0 else 20 * math.log10(peak / rms) if peak else -math.inf,
        cosine=min(float(a @ b) / norms, 1.0) if norms else float(rms == 0),
        relative_rms=rms / size if size else (0.0 if rms == 0 else math.inf),
        nan=nan,
        inf=inf,
    )
