"""Reading labelled pictures once: what is kept of each is what training needs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..images.decoding import UnreadableImage, open_picture
from ..images.listing import Item, labelled
from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing

_BATCH = 4  # more at once do not stay in the processor's cache: 18 ms a picture against 31
_ZOOM = 0.75  # share of the usual crop that the "zoom" views keep
_TOLD = 10  # unreadable files named in a message


Features = Callable[[np.ndarray], np.ndarray]  # float32 [n, C, H, W] -> [n, F]


@dataclass
class Pictures:
    """Labelled pictures in the order of labels and names."""

    items: list[Item]
    truth: np.ndarray  # [N] indices of labels
    content: list[str]  # a digest of each file: identical files must not face each other
    pixels: np.ndarray | None  # uint8 [N, H, W, C], only where a network is trained
    features: dict[str, np.ndarray]  # view -> float32 [N, F], only for a frozen backbone
    unreadable: list[dict[str, str]] = field(default_factory=list)


def read(
    job: Any,
    role: str,
    preprocessing: Preprocessing,
    labels: tuple[str, ...] | None,
    backbone: Features | None,
    keep_pixels: bool,
) -> tuple[Pictures, tuple[str, ...]]:
    """All pictures of an input, and the labels in order.

    Args:
        job: the stage's job.
        role: which input.
        preprocessing: how a picture is brought to size.
        labels: those of the training input, for the others; None to find them.
        backbone: computes features, if it is given.
        keep_pixels: whether the fitted pictures are kept.

    Raises:
        Problem: nothing is readable, or a label was never seen in training.
    """
    params = job.params
    items = labelled(job.inputs[role], params.path_column, params.label_column)
    views = params.views if role == "images" else ["center"]
    reader = _Reader(preprocessing, views, backbone, keep_pixels)
    unreadable = []
    for done, item in enumerate(items):
        job.progress(done, len(items), f"reading {role}")
        try:
            reader.add(item, open_picture(item.path))
        except UnreadableImage as error:
            unreadable.append({"file": item.name, "reason": str(error)})
            job.log(f"{item.name}: {error}")
    _complain(unreadable, len(items), params.unreadable, job.inputs[role])
    found = tuple(sorted({item.label for item in reader.items}))
    foreign = sorted(set(found) - set(labels or found))
    if foreign:
        raise Problem(f"input '{role}' has label '{foreign[0]}', which 'images' has not")
    return reader.finish(labels or found, unreadable), labels or found


class _Reader:
    """Collects batches on their way through the backbone."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        views: list[str],
        backbone: Features | None,
        keep_pixels: bool,
    ) -> None:
        self.items: list[Item] = []
        self._preprocessing = preprocessing
        self._backbone, self._keep_pixels = backbone, keep_pixels
        self._content: list[str] = []
        self._pixels: list[np.ndarray] = []
        self._waiting: dict[str, list[np.ndarray]] = {view: [] for view in views}
        self._features: dict[str, list[np.ndarray]] = {view: [] for view in views}

    def add(self, item: Item, image: Image.Image) -> None:
        self.items.append(item)
        self._content.append(hashlib.sha256(item.path.read_bytes()).hexdigest())
        if self._keep_pixels:
            fitted = np.asarray(self._preprocessing.fit(image))
            self._pixels.append(fitted if fitted.ndim == 3 else fitted[:, :, None])
        if self._backbone is None:
            return
        for view, batch in self._waiting.items():
            batch.append(_look(image, view, self._preprocessing))
            if len(batch) == _BATCH:
                self._flush(view)

    def _flush(self, view: str) -> None:
        if self._backbone is not None and self._waiting[view]:
            self._features[view].append(self._backbone(np.stack(self._waiting[view])))
            self._waiting[view].clear()

    def finish(self, labels: tuple[str, ...], unreadable: list[dict[str, str]]) -> Pictures:
        for view in self._waiting:
            self._flush(view)
        return Pictures(
            items=self.items,
            truth=np.array([labels.index(item.label) for item in self.items], dtype=np.int64),
            content=self._content,
            pixels=np.stack(self._pixels) if self._pixels else None,
            features={v: np.concatenate(f) for v, f in self._features.items() if f},
            unreadable=unreadable,
        )


def _look(image: Image.Image, view: str, preprocessing: Preprocessing) -> np.ndarray:
    if view.startswith("zoom"):
        preprocessing = replace(preprocessing, resize="crop", crop=preprocessing.crop * _ZOOM)
    fitted = preprocessing.fit(image)
    return preprocessing.to_array(ImageOps.mirror(fitted) if view.endswith("flip") else fitted)


def _complain(unreadable: list[dict[str, str]], total: int, rule: str, source: Path) -> None:
    if not unreadable:
        return
    named = "; ".join(f"{u['file']}: {u['reason']}" for u in unreadable[:_TOLD])
    more = f"; and {len(unreadable) - _TOLD} more" if len(unreadable) > _TOLD else ""
    if len(unreadable) == total:
        raise Problem(f"no picture of {source.name} can be read: {named}{more}")
    if rule == "fail":
        raise Problem(
            f"{len(unreadable)} of {total} files cannot be read: {named}{more}",
            hint="repair or remove them, or set unreadable: skip",
        )


def check_classes(pictures: Pictures, labels: tuple[str, ...], least: int, what: str) -> None:
    """Every class must have enough different pictures to stand on both sides of each split.

    Raises:
        Problem: there is one class only, or a class is too small.
    """
    if len(labels) < 2:
        raise Problem(
            f"there is one class only: '{labels[0]}'", hint="a classifier needs at least two"
        )
    different = Counter(dict.fromkeys(labels, 0))
    for index, _ in {(int(t), c) for t, c in zip(pictures.truth, pictures.content, strict=True)}:
        different[labels[index]] += 1
    small = [f"'{label}' has {n}" for label, n in sorted(different.items()) if n < least]
    if small:
        raise Problem(
            f"{what} needs at least {least} different pictures of each class: {', '.join(small)}",
            hint="add pictures, or choose fewer folds or another way to evaluate",
        )
