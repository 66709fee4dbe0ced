"""From a sample to what a model of any framework takes: names, order of axes, type of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing

LAST_TO_FIRST, FIRST_TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # of [N, H, W, C] and [N, C, H, W]


@dataclass(frozen=True)
class Wanted:
    """One input of a model. A size of None is free; so is a shape of None and a type of ""."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str = "float32"
    layout: str | None = None  # "NCHW" or "NHWC", where it is known

    def __str__(self) -> str:
        if self.shape is None:
            return self.name
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{sizes}]"


def feed(
    content: Any, wanted: Sequence[Wanted], preprocessing: Preprocessing | None
) -> dict[str, np.ndarray]:
    """The arrays of one sample by the model's own names of its inputs.

    Args:
        content: a picture, or arrays by name.
        wanted: the model's inputs.
        preprocessing: how the model wants pictures; None where nobody says.

    Raises:
        Problem: the sample does not fit.
    """
    if isinstance(content, dict):
        return {w.name: fitted(array, w) for w, array in _matched(content, wanted)}
    if len(wanted) != 1 or len(wanted[0].shape or (0,) * 4) not in (3, 4):
        taken = "; ".join(map(str, wanted))
        raise Problem(
            f"the model does not take one picture and nothing else: {taken}",
            hint="give samples as .npz files with an array for each input",
        )
    if preprocessing is None:
        raise Problem(
            "the model does not say how it wants pictures",
            hint="say it: pictures: {height: 224, width: 224, mean: [0, 0, 0], std: [1, 1, 1]}",
        )
    array = preprocessing.to_array(preprocessing.fit(content))[None]
    only = wanted[0]
    if only.layout == "NHWC":
        array = array.transpose(FIRST_TO_LAST)
    return {only.name: fitted(array, only)}


def fitted(array: np.ndarray, wanted: Wanted) -> np.ndarray:
    """An array in the model's order of axes and type.

    A dimension for the batch is put in front where it lacks; channels are moved where only that
    fits.

    Raises:
        Problem: it fits in no order.
    """
    for form in _forms(np.asarray(array)):
        if _fits(form.shape, wanted.shape):
            return np.ascontiguousarray(form.astype(wanted.dtype or _plain(form.dtype)))
    raise Problem(f"input {wanted} cannot take an array of shape {list(np.shape(array))}")


def _forms(array: np.ndarray) -> list[np.ndarray]:
    whole = [array, array[None]]
    if array.ndim == 3:
        whole += [array[None].transpose(LAST_TO_FIRST), array[None].transpose(FIRST_TO_LAST)]
    if array.ndim == 4:
        whole += [array.transpose(FIRST_TO_LAST), array.transpose(LAST_TO_FIRST)]
    return whole


def _plain(dtype: np.dtype) -> np.dtype:
    """Frameworks compute in float32; numpy makes float64 by itself."""
    return np.dtype("float32") if dtype == np.float64 else dtype


def _fits(shape: Sequence[int], wanted: Sequence[int | None] | None) -> bool:
    if wanted is None:
        return True
    if len(shape) != len(wanted):
        return False
    return all(want in (None, shape[place]) for place, want in enumerate(wanted))


def _matched(
    content: Mapping[str, np.ndarray], wanted: Sequence[Wanted]
) -> list[tuple[Wanted, np.ndarray]]:
    if all(w.name in content for w in wanted):
        return [(w, content[w.name]) for w in wanted]
    if len(content) == len(wanted) == 1:
        return [(wanted[0], next(iter(content.values())))]
    # Other frameworks have other names: by shape, where that leaves no choice.
    pairs = []
    for w in wanted:
        fits = [name for name, array in content.items() if _some(array, w)]
        if w.name in content:
            fits = [w.name]
        if len(fits) != 1 or len(content) != len(wanted):
            had = ", ".join(f"{n} {list(a.shape)}" for n, a in content.items())
            raise Problem(
                f"the model takes {'; '.join(map(str, wanted))}; the sample holds {had}",
                hint="name the sample's arrays as the model's inputs",
            )
        pairs.append((w, content[fits[0]]))
    return pairs


def _some(array: np.ndarray, wanted: Wanted) -> bool:
    kinds = {"i": "iu", "u": "iu", "f": "f", "b": "b"}
    kind = np.asarray(array).dtype.kind
    if wanted.dtype and kind not in kinds.get(np.dtype(wanted.dtype).kind, "USO"):
        return False
    return any(_fits(f.shape, wanted.shape) for f in _forms(np.asarray(array)))
