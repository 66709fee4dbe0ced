"""Looks at the size of every tensor before torch makes it.

A run with the guard costs some tens of microseconds more for each call of torch, so that only
the first run for each set of input shapes has it: sizes follow from shapes, except in the few
operators whose size is itself computed, which ask ``limits`` in every run.

Most calls are let through by a bound that is cheap to find (``result_sizes``). Only where that
is beyond the limit, torch itself is asked by making the call on tensors without elements, which
imports a good deal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from .errors import ExecutionError
from .limits import demand, limit
from .result_sizes import bound_of

_WIDEST = 8  # bytes of an element


class Guard(TorchDispatchMode):  # type: ignore[misc]  # no torch where types are checked
    """Refuses, while it is entered, tensors beyond the limit of memory."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler for that, at the cost of seconds and 70 MB."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Check one call of torch, then make it."""
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        largest = max((t.numel() for t in tensors), default=0) * _WIDEST
        if largest > limit():
            demand(largest)  # a view that repeats elements can be of any size
        bound = bound_of(func._schema.name, args, kwargs, tensors)
        if bound * _WIDEST > limit() and not _is_view(func):
            for size in _results(func, args, kwargs):
                demand(size)
        return func(*args, **kwargs)


def _is_view(func: Any) -> bool:
    return any(result.alias_info is not None for result in func._schema.returns)


def _results(func: Any, args: Any, kwargs: Any) -> list[int]:
    """The bytes of a call's results, found by making it on tensors without elements."""
    try:
        args, kwargs = tree_map(_without_elements, (args, kwargs))
        if "device" in {argument.name for argument in func._schema.arguments}:
            kwargs["device"] = "meta"
        made = func(*args, **kwargs)
    except ExecutionError:
        raise
    except RuntimeError as error:
        if "overflow" in str(error):  # more elements than a number of 64 bits can count
            return [2**63]
        return []  # not to be known without elements, or wrong: the call itself will tell
    except Exception:
        return []
    return [t.numel() * t.element_size() for t in tree_leaves(made) if isinstance(t, torch.Tensor)]


def _without_elements(value: Any) -> Any:
    return value.to("meta") if isinstance(value, torch.Tensor) else value
