"""Checks of models that are no ML Programs: what samples reach in them, and what weights hold.

Networks compute in float32 here, but in float16 on a device's GPU and Neural Engine; classical
models compute in doubles everywhere, so that only what is not finite counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ..compare.flow import Flow, Node
from ..model import Model
from .finding import Finding
from .numbers import HIGHEST

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")


def reached_in(model: Model, samples: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Overflow of float16 and the sources of NaN in all values that a model shows."""
    if not samples:
        return
    flow = Flow(model)
    runs = [flow.run(sample) for sample in samples]
    whole = model.description.type in _NETWORKS
    for node in flow.nodes:
        for name in node.makes:
            values = [run[name].double().reshape(-1) for run in runs if name in run]
            if not values:
                continue
            value = torch.cat(values)
            if whole or "/" in node.use.block:  # the layers of a network in a pipeline
                yield from _overflow(node, name, value)
            if not bool(value.isfinite().all()) and _were_finite(node, runs):
                yield _source(node, name, value)


def _overflow(node: Node, name: str, value: torch.Tensor) -> Iterator[Finding]:
    size = value[value.isfinite()].abs()
    high = int((size > HIGHEST).sum())
    if high:
        yield Finding(
            "warning",
            "float16-overflow",
            _place(node, name),
            f"{high} of {value.numel()} elements lie beyond 65504, up to {float(size.max()):.4g}",
            "scale the weights before it, or run it on the CPU alone, which computes in float32",
        )


def _source(node: Node, name: str, value: torch.Tensor) -> Finding:
    nan, infinite = int(value.isnan().sum()), int(value.isinf().sum())
    found = " and ".join(f"{n} {t}" for n, t in ((nan, "NaN"), (infinite, "infinite")) if n)
    return Finding(
        "error" if nan else "warning",
        "nan-source",
        _place(node, name),
        f"makes {found} elements of finite inputs",
        "guard its inputs (an epsilon under a root or a logarithm, a clip before an exponential)",
    )


def _were_finite(node: Node, runs: Sequence[Mapping[str, torch.Tensor]]) -> bool:
    taken = [run[name] for run in runs for name in node.takes if name in run]
    return all(bool(value.double().isfinite().all()) for value in taken)


def _place(node: Node, name: str) -> str:
    where = f"'{node.use.block}', " if node.use.block else ""
    return f"{where}{node.use.type} (makes {name})"
