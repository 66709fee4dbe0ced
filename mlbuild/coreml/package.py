"""The files of a model: from a path to its specification.

Source: Core ML model package layout as written by coremltools (Manifest.json with
``itemInfoEntries`` below ``Data/``); the specification is Model.proto.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ModelFileError, UnsupportedError
from .protos import model_proto

_MAX_SPEC = 2**31 - 1  # protobuf's own limit


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model lies and what its specification says."""

    path: Path
    spec_file: Path
    folder: Path  # what ``@model_path`` means in the specification
    spec: Any  # CoreML.Specification.Model


def open_model(path: str | Path | bytes) -> ModelFiles:
    """Read the specification of an ``.mlpackage`` or ``.mlmodel``, or of the latter's bytes."""
    if isinstance(path, bytes | bytearray | memoryview):
        nowhere = Path(os.devnull)  # no weight file can lie there
        name = Path("<bytes>")
        return ModelFiles(name, name, nowhere, parse_spec(bytes(path), str(name)))
    path = Path(path)
    if path.is_dir():
        if path.suffix == ".mlmodelc" or (path / "coremldata.bin").exists():
            raise UnsupportedError(
                "a compiled model can only be run by Core ML itself",
                place=str(path),
                hint="give the .mlpackage or .mlmodel it was compiled from",
            )
        spec_file = _root_model(path)
        return ModelFiles(path, spec_file, spec_file.parent, read_spec(spec_file))
    if not path.exists():
        raise ModelFileError("there is no such model", place=str(path))
    return ModelFiles(path, path, path.parent, read_spec(path))


def read_spec(file: Path) -> Any:
    """Parse one specification file, refusing what cannot be one."""
    try:
        if file.stat().st_size > _MAX_SPEC:
            raise ModelFileError(
                "larger than a specification can be", place=str(file),
                got=f"{file.stat().st_size} bytes", allowed=(f"at most {_MAX_SPEC} bytes",),
            )  # fmt: skip
        data = file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}", place=str(file)) from error
    return parse_spec(data, str(file))


def parse_spec(data: bytes, place: str) -> Any:
    """Parse the bytes of a specification, refusing what cannot be one."""
    spec = model_proto().Model()
    try:
        spec.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ModelFileError(
            f"not a Core ML specification, or cut off: {error}", place=place
        ) from error
    if spec.specificationVersion < 1 or spec.WhichOneof("Type") is None:
        raise ModelFileError("not a Core ML specification: it holds no model", place=place)
    return spec


def _root_model(package: Path) -> Path:
    manifest_file = package / "Manifest.json"
    if not manifest_file.is_file():
        raise ModelFileError("Manifest.json is missing from the package", place=str(package))
    try:
        manifest = json.loads(manifest_file.read_bytes())
        entry = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
        relative = Path(entry["path"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(
            "the manifest does not name a root model", place=str(manifest_file)
        ) from error
    data = (package / "Data").resolve()
    try:
        file = (data / relative).resolve()
    except (OSError, ValueError) as error:  # a circle of links, a name that no file can have
        raise ModelFileError(
            "the manifest names a file that cannot be", place=str(manifest_file), got=str(relative)
        ) from error
    if not file.is_relative_to(data):
        raise ModelFileError(
            "the manifest points outside of the package",
            place=str(manifest_file),
            got=str(relative),
        )
    if not file.is_file():
        raise ModelFileError(
            "the manifest names a file that is missing", place=str(package), got=str(relative)
        )
    return file
