"""Core ML's answers against the runtime's. A self-test carries a copy of this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .folder import Values
from .tolerances import TIE, Tolerance

EQUAL_DB = 200.0  # stands for infinity, which JSON cannot hold


@dataclass(frozen=True, slots=True)
class Finding:
    """One output on one compute unit, over all samples.

    Attributes:
        psnr_db: Range of Core ML's answers over the root mean square difference.
        max_abs: Largest difference.
        worst: The sample where it is.
        least_db: The tolerance, and its reason.
        why: Empty, or what is outside of it.
    """

    unit: str
    output: str
    psnr_db: float
    max_abs: float
    worst: str
    least_db: float
    reason: str
    why: str

    @property
    def within(self) -> bool:
        """Whether Core ML and the runtime agree as far as they can."""
        return not self.why


def judge(
    unit: str,
    samples: Sequence[str],
    theirs: Sequence[Values],
    ours: Sequence[Values],
    least: Tolerance,
) -> list[Finding]:
    """Every output of a compute unit, over all samples.

    Args:
        unit: Where Core ML computed.
        samples: Names.
        theirs: Core ML's answers to each.
        ours: The runtime's.
        least: What they must keep to.
    """
    findings = []
    for name in sorted({name for values in theirs for name in values}):
        pairs = [(a.get(name), b.get(name)) for a, b in zip(theirs, ours, strict=True)]
        found = _texts(pairs, name, theirs) if _is_text(pairs) else _numbers(pairs, least)
        findings.append(
            replace(
                found,
                unit=unit,
                output=name,
                worst=samples[int(found.worst)],
                least_db=least.psnr_db,
                reason=least.reason,
            )
        )
    return findings


def _is_text(pairs: Sequence[tuple[Any, Any]]) -> bool:
    return any(isinstance(value, str) for pair in pairs for value in pair)


def _found(psnr_db: float, max_abs: float, worst: int, why: str) -> Finding:
    return Finding("", "", psnr_db, max_abs, str(worst), 0, "", why)


def _texts(pairs: Sequence[tuple[Any, Any]], name: str, theirs: Sequence[Values]) -> Finding:
    """Labels: the same, or a tie by the scores that stand beside them."""
    wrong = [
        number
        for number, (a, b) in enumerate(pairs)
        if a != b and not _tie(a, b, theirs[number].values())
    ]
    if not wrong:
        return _found(EQUAL_DB, 0.0, 0, "")
    a, b = pairs[wrong[0]]
    why = f"Core ML says {a!r}, the runtime {b!r} ({len(wrong)} of {len(pairs)} differ)"
    return _found(0.0, 1.0, wrong[0], why)


def _tie(one: Any, other: Any, values: Any) -> bool:
    scores = [v for v in values if isinstance(v, dict) and one in v and other in v]
    return bool(scores) and abs(scores[0][one] - scores[0][other]) < TIE


def _numbers(pairs: Sequence[tuple[Any, Any]], least: Tolerance) -> Finding:
    arrays = []
    for number, (a, b) in enumerate(pairs):
        if b is None:
            return _found(0.0, 0.0, number, "the runtime gives no such output")
        if a is None:
            return _found(0.0, 0.0, number, "Core ML gave no such output")
        if isinstance(a, Mapping) and isinstance(b, Mapping) and set(a) != set(b):
            return _found(0.0, 0.0, number, "the labels of the scores are other ones")
        one, other = _aligned(a, b)
        if one.shape != other.shape:
            shapes = f"shape {list(one.shape)} of Core ML, {list(other.shape)} of the runtime"
            return _found(0.0, 0.0, number, shapes)
        arrays.append((one.reshape(-1), other.reshape(-1)))
    theirs, ours = (np.concatenate(side) for side in zip(*arrays, strict=True))
    if not np.array_equal(np.isfinite(theirs), np.isfinite(ours)):
        return _found(0.0, 0.0, 0, "not finite in one of the two")
    with np.errstate(invalid="ignore"):  # infinite in both: no difference
        error = [np.where(np.isfinite(a), np.abs(a - b), 0.0) for a, b in arrays]
    peaks = [float(e.max()) if e.size else 0.0 for e in error]
    worst = int(np.argmax(peaks))
    psnr = _psnr(theirs[np.isfinite(theirs)], np.concatenate(error))
    why = "" if psnr >= least.psnr_db else f"{psnr:.1f} dB, at least {least.psnr_db:g} expected"
    return _found(psnr, peaks[worst], worst, why)


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    """Two answers as float64 arrays; of dictionaries the values by the first one's keys."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        a, b = list(a.values()), [b[key] for key in a]
    # A colour picture of Core ML has an alpha channel, which holds nothing.
    a, b = (v.convert("RGB") if getattr(v, "mode", "") == "RGBA" else v for v in (a, b))
    return np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)


def _psnr(theirs: Any, error: Any) -> float:
    noise = float(np.sqrt(np.mean(error**2))) if error.size else 0.0
    span = float(np.ptp(theirs)) if theirs.size else 0.0
    span = span or (float(np.abs(theirs).max()) if theirs.size else 0.0) or 1.0
    return EQUAL_DB if noise == 0 else float(min(EQUAL_DB, 20 * np.log10(span / noise)))
