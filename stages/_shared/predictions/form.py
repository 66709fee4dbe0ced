"""A model's answers to samples, as files: ``predictions.json`` and ``arrays.npz`` in a folder.

``arrays.npz`` holds each output of all samples as one array ``name``, [N, ...], in the order of the
samples; where samples differ in shape, one array for each: ``name/0007``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem

VERSION = 1


@dataclass(frozen=True)
class About:
    """What a comparison must know of a model beside its answers.

    ``gives`` says of an output what it holds ("logits", "probabilities", "label", "value", ...);
    ``bits`` is how many its weights are stored in, where that is fewer than 16; ``half`` whether
    it computes in float16.
    """

    model: str  # the file's name
    format: str  # "Keras", "TFLite", ...
    size: int = 0  # bytes
    sha256: str = ""
    labels: Sequence[str] = ()
    gives: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] | None = None
    task: str = ""
    bits: int | None = None
    half: bool = False
    reading: Mapping[str, Any] | None = None  # how a table of samples is laid out


@dataclass(frozen=True)
class Predictions:
    """Answers by output, one array for each sample."""

    about: About
    samples: Sequence[str]
    outputs: Mapping[str, Sequence[np.ndarray]]

    def of(self, sample: str) -> dict[str, np.ndarray]:
        """All outputs for one sample.

        Raises:
            Problem: it was not asked.
        """
        try:
            place = list(self.samples).index(sample)
        except ValueError:
            raise Problem(f"{self.about.model} was not asked about sample {sample}") from None
        return {name: arrays[place] for name, arrays in self.outputs.items()}


def write(folder: Path, found: Predictions) -> None:
    """Write a folder of predictions; equal ones are equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "version": VERSION,
        **asdict(found.about),
        "samples": list(found.samples),
        "outputs": {name: _told(arrays) for name, arrays in sorted(found.outputs.items())},
    }
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "predictions.json").write_text(text + "\n", encoding="utf-8")
    arrays = {}
    for name, values in sorted(found.outputs.items()):
        if len({v.shape for v in values}) == 1:
            arrays[name] = np.stack(list(values))
        else:
            arrays.update({f"{name}/{i:04d}": value for i, value in enumerate(values)})
    np.savez(folder / "arrays.npz", **arrays)


def read(folder: Path) -> Predictions:
    """Read what ``write`` wrote.

    Raises:
        Problem: it is missing, damaged or of a newer version.
    """
    facts = _facts(folder)
    try:
        with np.load(folder / "arrays.npz", allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(folder, error) from error
    outputs = {}
    for name in facts["outputs"]:
        count = len(facts["samples"])
        alone = name in arrays
        outputs[name] = [
            arrays[name][i] if alone else arrays[f"{name}/{i:04d}"] for i in range(count)
        ]
    return Predictions(_about(facts), facts["samples"], outputs)


def read_about(folder: Path) -> About:
    """Read what is said of the model, without its answers.

    Raises:
        Problem: as of ``read``.
    """
    return _about(_facts(folder))


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(
            (folder / "predictions.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    if facts.get("version") != VERSION:
        raise Problem(f"predictions have version {facts.get('version')}, known is {VERSION}")
    return facts


def _about(facts: Mapping[str, Any]) -> About:
    return About(**{name: facts[name] for name in About.__dataclass_fields__})


def _unreadable(folder: Path, error: Exception) -> Problem:
    return Problem(f"{folder.name} holds no predictions that can be read: {error}")


def _told(arrays: Sequence[np.ndarray]) -> dict[str, Any]:
    shapes = sorted({a.shape for a in arrays})
    same = list(shapes[0]) if len(shapes) == 1 else None
    return {"dtype": str(arrays[0].dtype) if arrays else None, "shape": same}
