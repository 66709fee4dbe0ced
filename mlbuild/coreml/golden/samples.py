"""The samples of a recording: a folder of ``.npz`` files or pictures."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..description import Description, describe
from ..errors import InputError
from ..images import load_for
from ..package import open_model

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".heic", ".tif", ".tiff"}


def read_samples(
    model: str | Path, source: str | Path, scaling: str = "centerCrop"
) -> dict[str, dict[str, Any]]:
    """All samples of a folder (or the one file), by name, as the model takes them.

    Pictures are brought to the model's size here, so that both sides see the same pixels.

    Args:
        model: What the samples are for.
        source: ``.npz`` files with an array for each input, or pictures for a model with one
            image input. Of a folder that has one named as the model, that one is taken.
        scaling: How pictures reach the model's size.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    source = Path(source)
    own = source / Path(model).stem
    folder = own if own.is_dir() else source
    if not folder.exists():
        raise InputError("there are no samples here", place=str(source))
    files = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else [folder]
    wanted = [f for f in files if f.suffix.lower() in {*_PICTURES, ".npz"}]
    if not wanted:
        raise InputError("neither pictures nor .npz files are here", place=str(folder))
    description = describe(open_model(model).spec)
    base = folder if folder.is_dir() else folder.parent
    return {f.relative_to(base).as_posix(): _read(description, f, scaling) for f in wanted}


def _read(description: Description, file: Path, scaling: str) -> dict[str, Any]:
    if file.suffix.lower() == ".npz":
        try:
            with np.load(file, allow_pickle=False) as data:
                return {name: data[name] for name in sorted(data.files)}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"not readable as arrays: {error}", place=str(file)) from error
    needed = [f for f in description.inputs if not f.optional]
    if len(needed) != 1 or needed[0].image is None:
        raise InputError(
            "the model does not take one picture and nothing else",
            place=str(file),
            got=", ".join(f"{f.name}: {f}" for f in needed),
            hint="give samples as .npz files with an array for each input",
        )
    return {needed[0].name: load_for(needed[0], file, scaling)}
