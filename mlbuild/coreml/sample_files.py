"""Samples in files: a picture, or arrays by the names of inputs (``.npz``, one as ``.npy``)."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .description import Description, Feature
from .errors import InputError
from .images import load_for

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".heic", ".tif", ".tiff")
_ARRAYS = (".npz", ".npy")


def sample_files(source: Path) -> list[Path]:
    """The file itself, or all samples in a folder and below, by name.

    Raises:
        InputError: There is none.
    """
    if not source.exists():
        raise InputError("there are no samples here", place=str(source))
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    usable = [file for file in files if file.suffix.lower() in (*PICTURES, *_ARRAYS)]
    if not usable:
        raise InputError(
            "no sample is of a kind that can be read",
            place=str(source),
            allowed=(*PICTURES, *_ARRAYS),
        )
    return usable


def read_sample(description: Description, file: Path, scaling: str = "centerCrop") -> Any:
    """What a file gives a model: its inputs by name.

    Args:
        description: The model's.
        file: One of ``sample_files``.
        scaling: How a picture reaches the model's size.

    Raises:
        InputError: It cannot be read, or lacks an input.
    """
    needed = [feature for feature in description.inputs if not feature.optional]
    if file.suffix.lower() in PICTURES:
        if len(needed) != 1 or needed[0].image is None:
            raise InputError(
                "the model does not take one picture and nothing else",
                place=str(file),
                got=", ".join(f"{f.name}: {f}" for f in needed),
                hint="give samples as .npz files with an array for each input",
            )
        return {needed[0].name: load_for(needed[0], file, scaling)}
    arrays = _arrays(file, needed)
    if missing := sorted({feature.name for feature in needed} - set(arrays)):
        raise InputError(
            f"a sample lacks an input: {', '.join(missing)}",
            place=str(file),
            got=", ".join(arrays),
        )
    return arrays


def _arrays(file: Path, needed: list[Feature]) -> dict[str, Any]:
    try:
        if file.suffix.lower() == ".npy":
            return {f.name: np.load(file, allow_pickle=False) for f in needed[:1]}
        with np.load(file, allow_pickle=False) as data:
            return {name: data[name] for name in sorted(data.files)}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"not readable as arrays: {error}", place=str(file)) from error
