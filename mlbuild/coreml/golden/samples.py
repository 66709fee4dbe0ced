"""The samples of a recording: a folder of arrays or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..description import describe
from ..package import open_model
from ..sample_files import read_sample, sample_files


def read_samples(
    model: str | Path, source: str | Path, scaling: str = "centerCrop"
) -> dict[str, dict[str, Any]]:
    """All samples of a folder (or the one file), by name, as the model takes them.

    Pictures are brought to the model's size here, so that both sides see the same pixels.

    Args:
        model: What the samples are for.
        source: See ``sample_files``. Of a folder that has one named as the model, that one is
            taken.
        scaling: How pictures reach the model's size.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    source = Path(source)
    own = source / Path(model).stem
    folder = own if own.is_dir() else source
    files = sample_files(folder)
    description = describe(open_model(model).spec)
    base = folder if folder.is_dir() else folder.parent
    return {f.relative_to(base).as_posix(): read_sample(description, f, scaling) for f in files}
