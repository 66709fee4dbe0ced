"""Reductions over axes.

Source: coremltools MIL op docs, iOS15 reduction. No axes means all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..operator import Ints, Tensor, define

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return torch.mean(x, axes, keep)
    return torch.mean(x.double(), axes, keep)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((a % x.dim() for a in axes), reverse=True):
        x = torch.prod(x, axis, keep)
    return x


def _l2(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    real = x if x.is_floating_point() else x.double()
    return torch.sqrt(torch.sum(real * real, axes, keep))


_REDUCTIONS: dict[str, Reduction] = {
    "reduce_sum": lambda x, axes, keep: torch.sum(x, axes, keep),
    "reduce_mean": _mean,
    "reduce_prod": _product,
    "reduce_l1_norm": lambda x, axes, keep: torch.sum(x.abs(), axes, keep),
    "reduce_l2_norm": _l2,
    "reduce_log_sum": lambda x, axes, keep: torch.log(torch.sum(x, axes, keep)),
    "reduce_log_sum_exp": lambda x, axes, keep: torch.logsumexp(x.float(), axes, keep),
    "reduce_sum_square": lambda x, axes, keep: torch.sum(x * x, axes, keep),
}
_EXACT: dict[str, Reduction] = {
    "reduce_max": lambda x, axes, keep: torch.amax(x, axes, keep),
    "reduce_min": lambda x, axes, keep: torch.amin(x, axes, keep),
}


def _reduction(reduce: Reduction) -> Callable[..., Tensor]:
    def apply(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
        wanted = list(range(x.dim())) if axes is None else axes
        return reduce(x, wanted, keep_dims) if wanted else x

    return apply


for _name, _reduce in _REDUCTIONS.items():
    define(_name, _reduction(_reduce))
for _name, _reduce in _EXACT.items():
    define(_name, _reduction(_reduce), exact=True)
