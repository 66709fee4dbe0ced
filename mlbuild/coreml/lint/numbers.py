"""What float16 does to the values that samples reach: overflow, underflow, the source of NaN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ..compare.stepping import Step, Steps
from .finding import Finding

HIGHEST, LOWEST = 65504.0, 2.0**-24  # Source: IEEE 754-2019, binary16
_MANY = 0.01  # of a value's elements; a few lost ones are zeros to all that follows


def reached(steps: Steps, samples: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Run every sample twice: without rounding, for magnitudes, and as declared, for NaN."""
    if not samples:
        return
    extremes: dict[str, _Extremes] = {}
    broken: dict[str, tuple[Step, int, int]] = {}
    for sample in samples:
        plain, declared = dict(steps.encode(sample)), dict(steps.encode(sample))
        for step in steps.steps:
            given = {name: declared[name] for name in step.inputs}
            plain |= step.run(plain)
            declared |= step.run(declared, declared=True)
            for name in step.outputs:
                if _is_real(plain[name]):
                    if _is_half(step, name):
                        extremes.setdefault(name, _Extremes(step)).see(plain[name])
                    if name not in broken and _breaks(given, declared[name]):
                        nan = int(declared[name].isnan().sum())
                        broken[name] = step, nan, int(declared[name].isinf().sum())
    for name, extreme in extremes.items():
        yield from extreme.findings(name)
    for name, (step, nan, infinite) in broken.items():
        yield _source(step, name, nan, infinite)


class _Extremes:
    """The magnitudes of one value over all samples."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._peak, self._high, self._low, self._count = 0.0, 0, 0, 0

    def see(self, value: torch.Tensor) -> None:
        """Count one sample's elements; infinite ones are meant."""
        size = value.abs()
        finite = size[size.isfinite()]
        self._count += value.numel()
        self._high += int((finite > HIGHEST).sum())
        self._low += int(((finite > 0) & (finite < LOWEST)).sum())
        if finite.numel():
            self._peak = max(self._peak, float(finite.max()))

    def findings(self, name: str) -> Iterator[Finding]:
        """Overflow, and underflow of more than a few."""
        place = _place(self._step, name)
        if self._high:
            yield Finding(
                "error",
                "float16-overflow",
                place,
                f"{self._high} of {self._count} elements lie beyond 65504, up to {self._peak:.4g}",
                "keep this operator in float32 (op_selector of FP16ComputePrecision), or scale "
                "its inputs",
            )
        if self._low > _MANY * self._count:
            yield Finding(
                "warning",
                "float16-underflow",
                place,
                f"{self._low} of {self._count} elements are below 6e-08 and become zero",
                "scale what comes before, or keep this operator in float32",
            )


def _source(step: Step, name: str, nan: int, infinite: int) -> Finding:
    found = " and ".join(
        text for count, text in ((nan, f"{nan} NaN"), (infinite, f"{infinite} infinite")) if count
    )
    return Finding(
        "error" if nan else "warning",
        "nan-source",
        _place(step, name),
        f"makes {found} elements of finite inputs",
        "guard its inputs (an epsilon under a root or a logarithm, a clip before an exponential)",
    )


def _place(step: Step, name: str) -> str:
    use = step.use
    return f"operation {use.index} of {use.block}, {use.opset}.{use.type} (makes {name})"


def _breaks(given: Mapping[str, Any], made: torch.Tensor) -> bool:
    return not bool(made.isfinite().all()) and all(
        bool(value.isfinite().all()) for value in given.values() if _is_real(value)
    )


def _is_real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _is_half(step: Step, name: str) -> bool:
    dtype = step.types[name].dtype
    return dtype is not None and dtype.name == "fp16"
