"""Where float16 itself ruins a value: overflow, underflow, cancellation.

Each operation is run on right inputs, once with the rounding that its types declare. What then is
no longer finite, or far off, is only accused if it reaches an output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..mil.precision import to_half
from .comparison import Guilty
from .judge import damage
from .matching import difference
from .stepping import Step
from .walk import Walk

_FAR = 0.05  # a few hundred times what rounding once does
_FELT = 0.02  # at an output


def rounded_away(walk: Walk) -> Iterator[Guilty]:
    """Operators that float16 ruins, in order."""
    for step in walk.steps.steps:
        if not step.declares_half:
            continue
        exact = walk.inputs_of(step)
        inputs = [_rounded(step, given) for given in exact]
        if not all(_is_finite(value) for given in inputs for value in given.values()):
            continue
        made = [step.run(given, declared=True) for given in inputs]
        known = _lost(walk, step)  # else of its own constants, compressed or not
        clean = [step.run(given, known) for given in exact]
        for name in step.outputs:
            ours, theirs = [m[name] for m in made], [c[name] for c in clean]
            if isinstance(ours[0], torch.Tensor) and ours[0].is_floating_point():
                guilty = _judge(walk, step, name, ours, theirs)
                if guilty is not None:
                    yield guilty


def _lost(walk: Walk, step: Step) -> dict[str, torch.Tensor]:
    """The reference's constants where the stored ones are no longer finite."""
    return {
        name: value
        for name, value in walk.known(step).items()
        if _is_finite(value) and not _is_finite(step.weight(name))
    }


def _judge(walk: Walk, step: Step, name: str, ours: list[Any], clean: list[Any]) -> Guilty | None:
    broken = sum(
        int((~o.isfinite() & c.isfinite()).sum()) for o, c in zip(ours, clean, strict=True)
    )
    error = difference(ours, clean)
    if not broken and error < _FAR:
        return None
    felt = damage(walk, step, name, ours)
    if felt < (_FELT if broken else _FAR):
        return None
    match = walk.matches.get(name)
    recorded = walk.index.first.values[match.place] if match is not None else None
    peak = max(float(c[c.isfinite()].abs().max()) for c in clean if bool(c.isfinite().any()))
    why = (
        f"of finite inputs {broken} of its values are not finite in float16, which ends at 65504; "
        f"without rounding they reach {peak:.4g}"
        if broken
        else f"rounding to float16 changes its result by {error:.1%} of its spread"
    )
    return Guilty(
        operator=step.use,
        confidence=0.9 if broken else 0.7,
        why=why,
        cause="float16",
        reference=str(recorded) if recorded else "",
        scope=recorded.scope if recorded else "",
        local=error,
        damage=felt,
    )


def _rounded(step: Step, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: to_half(value) if _is_half(step, name) else value for name, value in given.items()
    }


def _is_half(step: Step, name: str) -> bool:
    dtype = step.types[name].dtype
    return step.types[name].kind == "tensor" and dtype is not None and dtype.name == "fp16"


def _is_finite(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or bool(value.isfinite().all())
