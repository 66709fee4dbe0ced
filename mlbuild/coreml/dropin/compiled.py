"""Compiled models (``.mlmodelc``) as far as they can be had without Core ML's compiler.

Here a compiled model is a folder that holds a copy of the model it was made from, so that code
which compiles once and loads often also runs. One that Core ML compiled is refused by name.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from ..package import open_model
from ..protos import model_proto

_INSIDE = "mlbuild-copy"


@dataclass(eq=False)
class Source:
    """A specification and the folder of its weight files."""

    spec: Any
    folder: Path
    path: Path | None = None

    def compiled(self) -> Path:
        """The folder of the compiled model, made when it is first asked for."""
        if self.path is not None and self.path.suffix == ".mlmodelc":
            return self.path
        if self.path is None:
            raise RuntimeError("a model that lies in memory has no compiled model on disk")
        # coremltools removes the file of a model without a package as soon as it is loaded.
        gone = self.path.suffix == ".mlmodel" and not self.path.exists()
        made = _write_spec(self.spec, self.path) if gone else write(self.path)
        self.owns(made.parent)
        self.path = made
        return made

    def owns(self, folder: Path) -> None:
        """Remove a folder when this object goes (silently, unlike a TemporaryDirectory)."""
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def open_source(path: Path) -> Source:
    """Open a model, or one that ``write`` compiled."""
    copies = sorted(path.glob(f"{_INSIDE}.*")) if path.suffix == ".mlmodelc" else []
    files = open_model(copies[0] if copies else path)
    return Source(files.spec, files.folder, path)


def write(path: Path) -> Path:
    """Compile a model: check that it can be opened, and copy it.

    Args:
        path: An ``.mlpackage`` or ``.mlmodel``.

    Returns:
        The compiled model in a new temporary folder, which is the caller's to remove.
    """
    open_model(path)
    copy = _place(path)
    if path.is_dir():
        shutil.copytree(path, copy)
    else:
        shutil.copyfile(path, copy)
    return copy.parent


def _write_spec(spec: Any, path: Path) -> Path:
    """Compile a specification that was read of a file which is gone."""
    copy = _place(path)
    copy.write_bytes(spec.SerializeToString())
    return copy.parent


def _place(path: Path) -> Path:
    """Where the copy of a model comes to lie, in a new compiled model."""
    made = Path(tempfile.mkdtemp(prefix="mlbuild-")) / f"{path.stem}.mlmodelc"
    made.mkdir()
    return made / f"{_INSIDE}{path.suffix}"


def from_memory(spec_bytes: bytes, blobs: Mapping[str, bytes]) -> Source:
    """A model of a serialized specification and of weight files by their paths in the package."""
    spec = model_proto().Model()
    try:
        spec.ParseFromString(spec_bytes)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ModelFileError(f"not a Core ML specification, or cut off: {error}") from error
    folder = Path(tempfile.mkdtemp(prefix="mlbuild-")).resolve()
    source = Source(spec, folder)
    source.owns(folder)
    for name, data in blobs.items():
        file = (folder / name).resolve()
        if not file.is_relative_to(folder):
            raise ModelFileError("a weight file lies outside of the package", place=name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return source
