"""Which output of one model is which of another: names, order of axes and shapes differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..problem.problem import Problem

Answers = Mapping[str, np.ndarray]
_AXES = ((0, 3, 1, 2), (0, 2, 3, 1))


def pair(
    reference: Answers, candidate: Answers, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The candidate's output for each of the reference's, by one sample of both.

    What is ``given`` and equal names go together; what is left goes together where shapes leave
    one choice, or where one is left on each side.

    Raises:
        Problem: an output of the reference has no counterpart.
    """
    pairs = _given(reference, candidate, given or {})
    pairs.update({n: n for n in reference if n in candidate and n not in pairs})
    left = [name for name in reference if name not in pairs]
    free = [name for name in candidate if name not in pairs.values()]
    for name in left:
        fits = [other for other in free if _form(candidate[other], reference[name]) is not None]
        if len(left) == len(free) == 1:
            fits = free
        if len(fits) != 1:
            had = ", ".join(f"{n} {list(candidate[n].shape)}" for n in candidate)
            shape = list(reference[name].shape)
            raise Problem(
                f"the candidate lacks output {name} {shape}; it has {had or 'no arrays'}",
                hint=f"say which it is: outputs: {{'{name}': ...}}" if had else None,
            )
        pairs[name] = fits[0]
        free = [other for other in free if other != fits[0]]
    return pairs


def _given(reference: Answers, candidate: Answers, given: Mapping[str, str]) -> dict[str, str]:
    for name, other in given.items():
        for side, which, known in (("reference", name, reference), ("candidate", other, candidate)):
            if which not in known:
                had = ", ".join(known) or "no arrays"
                raise Problem(f"outputs: the {side} has no output '{which}'; it has {had}")
    return dict(given)


def brought(
    candidate: Answers, reference: Answers, pairs: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The candidate's answers by the reference's names and in its order of axes.

    Raises:
        Problem: shapes differ by more than that.
    """
    found = {}
    for name, other in pairs.items():
        form = _form(candidate[other], reference[name])
        if form is None:
            shapes = tuple(reference[name].shape), tuple(candidate[other].shape)
            raise Problem(f"output {name}: shapes differ, {shapes[0]} and {shapes[1]}")
        found[name] = form
    return found


def _form(array: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    array, like = np.asarray(array), np.asarray(like)
    if (array.dtype.kind in "US") != (like.dtype.kind in "US"):
        return None
    if array.shape == like.shape:
        return array
    bare = [size for size in array.shape if size != 1], [size for size in like.shape if size != 1]
    if bare[0] == bare[1]:
        return array.reshape(like.shape)
    for axes in _AXES if array.ndim == like.ndim == 4 else ():
        if array.transpose(axes).shape == like.shape:
            return array.transpose(axes)
    return None
