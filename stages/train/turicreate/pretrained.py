"""Toolkits that begin with a network of Apple's, which must be given: nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, List, Optional, Tuple  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import labelled, pictures_below
from ..._shared.problem.problem import Problem
from ..._shared.tables.description import sheet_for
from ..._shared.tables.table import require
from ..._shared.turi import asking
from ..._shared.turi.toolkits import PRETRAINED
from . import figures, splitting
from .creating import told
from .tables import reading_of

_LABEL, _IMAGE = "label", "image"
_SOUNDS = (".wav",)


def check_weights(job: Any, toolkit: str, turicreate: Any) -> None:
    """Let Turi Create find networks in its cache alone.

    Raises:
        Problem: weights are given that the toolkit does not use.
    """
    if "weights" in job.inputs and toolkit not in PRETRAINED:
        raise Problem(f"{toolkit} starts from nothing: the input 'weights' is not used")
    from turicreate.toolkits import _data_zoo, _pre_trained_models

    cache = job.scratch / "turi" / "model_cache"

    def from_cache(urls: Sequence[Any], dirname: str, delete: bool = False) -> List[str]:  # noqa: UP006
        return [str(_cached(cache, *(u if isinstance(u, tuple) else (u, None)))) for u in urls]

    for own in (_data_zoo, _pre_trained_models):
        own._download_and_checksum_files = from_cache


def _cached(cache: Path, url: str, md5: Optional[str]) -> Path:  # noqa: UP045
    file = cache / url.rpartition("/")[2]
    wanted = f"{url}" + (f" (MD5 {md5})" if md5 else "")
    if not file.is_file():
        raise Problem(
            f"this toolkit begins with what Apple has learnt, {file.name}, which is not there",
            hint=f"fetch {wanted} into a folder and give it as the input weights",
        )
    if md5 and hashlib.md5(file.read_bytes()).hexdigest() != md5:
        raise Problem(f"weights: {file.name} is not the file that Turi Create knows: {wanted}")
    return file


class Examples:
    """Rows of an SFrame, with labels where there are any."""

    def __init__(self, frame: Any, truth: Optional[List[str]]) -> None:  # noqa: UP006, UP045
        self.frame, self.truth = frame, truth

    def __len__(self) -> int:
        return len(self.frame)


class Pretrained:
    """Pictures or sounds, and a network that knows others."""

    def __init__(self, job: Any, turicreate: Any) -> None:
        self._job, self._tc = job, turicreate
        self.toolkit = dict(job.params.toolkit)
        self.name = self.toolkit["name"]
        self.all = self._read(job.inputs["data"])
        self.test: Optional[Examples] = (  # noqa: UP045
            self._read(job.inputs["test"]) if "test" in job.inputs else None
        )

    @property
    def judged(self) -> bool:
        """Only labels can be right or wrong here."""
        return self.name in ("image-classifier", "sound-classifier")

    def split(self, share: float, seed: int) -> Any:
        """Examples to learn and to ask."""
        learn, ask = splitting.by_label(self.all.truth or [], share, seed)
        return self._take(learn), self._take(ask)

    def learn(self, rows: Any) -> Any:
        """A model."""
        options = {
            k: v for k, v in self.toolkit.items() if k not in ("name", "annotations", "image")
        }
        create = getattr(self._tc, self.name.replace("-", "_")).create
        options.update(verbose=False)
        if self.name == "image-classifier":
            options.update(validation_set=None, seed=self._job.params.seed, feature=_IMAGE)
            return told(create, rows.frame, _LABEL, **options)
        if self.name == "sound-classifier":
            return told(create, rows.frame, _LABEL, "audio", validation_set=None, **options)
        if self.name == "image-similarity":
            return told(create, rows.frame, feature=_IMAGE, **options)
        if self.name == "object-detector":
            options.update(feature=_IMAGE, annotations="annotations")
            return told(create, rows.frame, random_seed=self._job.params.seed, **options)
        if self.name == "one-shot-object-detector":
            return told(create, rows.frame, _LABEL, **options)
        styles = rows.frame[rows.frame["part"] == "style"]
        contents = rows.frame[rows.frame["part"] == "content"]
        return told(
            create, styles, contents, style_feature=_IMAGE, content_feature=_IMAGE, **options
        )

    def judge(self, model: Any, rows: Any) -> figures.Facts:
        """Figures of a classifier."""
        if rows is None:
            return {}
        labels = asking.labels_of(model)
        vectors = np.array([list(v) for v in model.predict(rows.frame, "probability_vector")])
        said = [labels[place] for place in vectors.argmax(axis=1)]
        return figures.classes(self._job, rows.truth, said, vectors, labels)

    def describe(self, model: Any) -> figures.Facts:
        """What the model says of itself."""
        found: figures.Facts = {
            "toolkit": self.name,
            "task": self.name,
            "inputs": [],
            "outputs": [],
        }
        found["labels"] = asking.labels_of(model) if self.judged else None
        found["target"] = _LABEL if self.judged else None
        return found

    def samples(self, rows: Any) -> None:
        """None are given out: what these models take is the user's own pictures or sounds."""
        self._job.outputs["samples"].mkdir(parents=True, exist_ok=True)

    def _take(self, places: np.ndarray) -> Examples:
        chosen = self._tc.SFrame({"place": [int(p) for p in places]})
        frame = self.all.frame.add_row_number("place").join(chosen, on="place").sort("place")
        truth = [(self.all.truth or [])[int(p)] for p in places]
        return Examples(frame.remove_column("place"), truth)

    def _read(self, path: Path) -> Examples:
        if self.name == "object-detector":
            return self._boxes(path)
        if self.name == "sound-classifier":
            return self._sounds(path)
        if self.name == "style-transfer":
            return self._styles(path)
        if self.name == "image-similarity":
            return Examples(self._pictures(pictures_below(path)), None)
        items = labelled(path)
        frame = self._pictures([item.path for item in items])
        frame[_LABEL] = self._tc.SArray([item.label for item in items])
        return Examples(frame, [item.label for item in items])

    def _pictures(self, files: Sequence[Path]) -> Any:
        if not files:
            raise Problem("data holds no pictures")
        try:
            found = [asking.image(open_picture(f).convert("RGB"), self._tc) for f in files]
        except UnreadableImage as error:
            raise Problem(str(error)) from error
        return self._tc.SFrame({_IMAGE: found})

    def _sounds(self, path: Path) -> Examples:
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SOUNDS)
        labels = [file.parent.name for file in files]
        if len(set(labels)) < 2:
            raise Problem(f"{path.name} holds no .wav files in folders by label")
        sounds = [self._tc.load_audio(str(f), with_path=False)["audio"][0] for f in files]
        return Examples(self._tc.SFrame({"audio": sounds, _LABEL: labels}), labels)

    def _styles(self, path: Path) -> Examples:
        parts = {part: pictures_below(path / part) for part in ("style", "content")}
        for part, files in parts.items():
            if not files:
                raise Problem(f"{path.name} holds no pictures in a folder '{part}'")
        frame = self._pictures([file for files in parts.values() for file in files])
        frame["part"] = [part for part, files in parts.items() for _ in files]
        return Examples(frame, None)

    def _boxes(self, path: Path) -> Examples:
        sheet = sheet_for(path, {"reading": reading_of(self._job.params)})
        named: Tuple[str, str] = (self.toolkit["image"], self.toolkit["annotations"])  # noqa: UP006
        for name in named:
            require(sheet, name)
        beside = path if path.is_dir() else path.parent
        frame = self._pictures([beside / str(cell) for cell in sheet.columns[named[0]]])
        try:
            frame["annotations"] = [json.loads(cell) for cell in sheet.columns[named[1]]]
        except ValueError as error:
            raise Problem(f"column '{named[1]}' must hold boxes as JSON: {error}") from error
        return Examples(frame, None)
