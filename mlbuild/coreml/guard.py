"""Looks at the size of every tensor before torch makes it.

A run with the guard costs some tens of microseconds more for each call of torch, so that only
the first run for each set of input shapes has it: sizes follow from shapes, except in the few
operators whose size is itself computed, which ask ``limits`` in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from .errors import ExecutionError
from .limits import demand, limit

_WIDEST = 8  # bytes of an element


class Guard(TorchDispatchMode):  # type: ignore[misc]  # no torch where types are checked
    """Refuses, while it is entered, tensors beyond the limit of memory."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Check one call of torch, then make it."""
        kwargs = kwargs or {}
        sizes = [leaf.numel() for leaf in tree_leaves((args, kwargs)) if _is_tensor(leaf)]
        if max(sizes, default=0) * _WIDEST > limit():
            demand(max(sizes) * _WIDEST)  # a view that repeats elements can be of any size
        if math.prod([*sizes, *_numbers(args, kwargs)]) * _WIDEST > limit() and not _is_view(func):
            for size in _results(func, args, kwargs):
                demand(size)
        return func(*args, **kwargs)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _numbers(args: Any, kwargs: Any) -> Iterator[int]:
    """All numbers among the arguments that could multiply a size."""
    for leaf in tree_leaves((args, kwargs)):
        if isinstance(leaf, int | float) and not isinstance(leaf, bool) and math.isfinite(leaf):
            yield math.ceil(abs(leaf)) + 1


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
    return [t.numel() * t.element_size() for t in tree_leaves(made) if _is_tensor(t)]


def _without_elements(value: Any) -> Any:
    return value.to("meta") if _is_tensor(value) else value
