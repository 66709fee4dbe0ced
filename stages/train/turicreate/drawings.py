"""Drawings for the drawing classifier: pictures in folders by label, or strokes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Optional, Tuple  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np
from PIL import Image

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import labelled
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.turi import asking
from ..._shared.turi.toolkits import DRAWING
from . import figures, splitting
from .creating import told
from .tables import spread

_SIDE = 28
_WANTED = Preprocessing(
    height=_SIDE, width=_SIDE, colour="GRAY", mean=(0.0,), std=(1.0,), resize="squash", crop=1.0,
    interpolation="bilinear",
)  # fmt: skip
_LABEL = "label"


class Drawn:
    """Grey pictures of 28 by 28, light on dark, and their labels."""

    def __init__(self, names: List[str], pictures: List[Any], truth: List[str]) -> None:  # noqa: UP006
        self.names, self.pictures, self.truth = names, pictures, truth

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, places: np.ndarray) -> Drawn:
        """Some of them."""
        chosen = [int(place) for place in places]
        return Drawn(
            *([kept[p] for p in chosen] for kept in (self.names, self.pictures, self.truth))
        )


class Drawings:
    """Drawings of one input, or two."""

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc = job, turicreate
        self.toolkit = dict(job.params.toolkit)
        self.feature = self.toolkit["feature"]
        self.all = _read(job.inputs["data"], turicreate)
        self.test: Optional[Drawn] = (  # noqa: UP045
            _read(job.inputs["test"], turicreate) if "test" in job.inputs else None
        )
        if len(set(self.all.truth)) < 2:
            raise Problem(f"all drawings are called '{self.all.truth[0]}'")

    judged = True

    def split(self, share: float, seed: int) -> Any:
        """Drawings to learn and to ask."""
        learn, ask = splitting.by_label(self.all.truth, share, seed)
        return self.all.take(learn), self.all.take(ask)

    def learn(self, rows: Any) -> Any:
        """A model that starts from nothing: its warm start is Apple's to download."""
        options = {k: v for k, v in self.toolkit.items() if k not in ("name", "feature")}
        pictures = [asking.image(picture, self._tc) for picture in rows.pictures]
        frame = self._tc.SFrame({self.feature: pictures, _LABEL: rows.truth})
        return told(
            self._tc.drawing_classifier.create,
            frame, _LABEL, feature=self.feature, validation_set=None, warm_start=None,
            verbose=False, random_seed=self._job.params.seed, **options,
        )  # fmt: skip

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Figures on drawings that were not learnt."""
        answers = asking.drawings(model, self.describe(model), rows.pictures, self._tc)
        said, scores = answers[_LABEL], answers[f"{_LABEL}Probability"]
        return figures.classes(self._job, rows.truth, said, scores, asking.labels_of(model))

    def describe(self, model: Any) -> figures.Facts:
        """What the model says of itself."""
        return {
            "toolkit": DRAWING,
            "target": _LABEL,
            "task": "drawing-classification",
            "labels": asking.labels_of(model),
            "inputs": [
                {
                    "name": self.feature, "kind": "image", "layout": "NCHW",
                    "shape": [1, 1, _SIDE, _SIDE], "dtype": "float32",
                    "preprocessing": _WANTED.to_json(),
                }
            ],
            "outputs": asking.of_classifier(_LABEL),
        }  # fmt: skip

    def samples(self, rows: Any) -> None:
        """Drawings for validation, in folders by label."""
        asked = rows if rows is not None else self.all
        for place in spread(len(asked), self._job.params.samples):
            label, name = asked.truth[int(place)], asked.names[int(place)]
            file = self._job.outputs["samples"] / label / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(asked.pictures[int(place)])).save(file)


def _read(path: Path, turicreate: Any) -> Drawn:
    files = sorted(path.rglob("*.ndjson")) if path.is_dir() else [path]
    if files and all(file.suffix.lower() == ".ndjson" for file in files):
        return _strokes(files, turicreate)
    names, pictures, truth = [], [], []
    for item in labelled(path):
        try:
            pictures.append(_WANTED.fit(open_picture(item.path)))
        except UnreadableImage as error:
            raise Problem(f"{item.name} is no readable picture: {error}") from error
        names.append(f"{len(names):05d}")
        truth.append(item.label)
    return Drawn(names, pictures, truth)


def _strokes(files: List[Path], turicreate: Any) -> Drawn:  # noqa: UP006
    """Strokes, a drawing a line, drawn as Turi Create and Apple's example apps draw them."""
    found: List[Tuple[str, Any]] = []  # noqa: UP006
    for file in files:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                found.append((str(entry.get(_LABEL) or entry["word"]), _points(entry["drawing"])))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Problem(f"{file.name}, line {number}: no drawing: {error!r}") from error
    drawn = turicreate.drawing_classifier.util.draw_strokes(
        turicreate.SArray([strokes for _, strokes in found], dtype=list)
    )
    pictures = [Image.fromarray(each.pixel_data.reshape(_SIDE, _SIDE)) for each in drawn]
    return Drawn([f"{n:05d}" for n in range(len(found))], pictures, [label for label, _ in found])


def _points(strokes: Any) -> Any:
    """Lists of {x, y}; Quick, Draw! has two lists of numbers for each stroke."""
    if strokes and isinstance(strokes[0][0], dict):
        return strokes
    return [[{"x": x, "y": y} for x, y in zip(s[0], s[1])] for s in strokes]  # noqa: B905
