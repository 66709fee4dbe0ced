"""A model as files, and what its description says of systems that run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..problem.problem import Problem
from .wire import path_complaint, sha256, tree_sha256

_VARINT_BITS = 7


@dataclass(frozen=True)
class Model:
    """A model's bytes: of an .mlpackage by path inside it, of an .mlmodel under the empty path."""

    suffix: str  # ".mlpackage" or ".mlmodel"
    files: dict[str, bytes]

    @property
    def sha256(self) -> str:
        """The digest by which reports of other stages name it."""
        if self.suffix == ".mlmodel":
            return sha256(self.files[""])
        return tree_sha256((path, sha256(data)) for path, data in self.files.items())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for data in self.files.values())

    def file(self, name: str) -> str:
        """What it is called in a bundle of this name."""
        return name + self.suffix

    def paths(self, name: str) -> dict[str, str]:
        """Path in the bundle -> path in the model."""
        root = self.file(name)
        return {f"{root}/{path}" if path else root: path for path in sorted(self.files)}


def read(path: Path) -> Model:
    """Read a model whole.

    Raises:
        Problem: it is no model, or a file of it has a path that no client takes.
    """
    if path.is_file():
        return Model(".mlmodel", {"": path.read_bytes()})
    files = {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
    for name in files:
        wrong = path_complaint(name)
        if wrong:
            raise Problem(f"{path.name}: the file {name!r} {wrong}")
    # Of macOS's and iOS's file systems; two of them would be one file.
    if len({name.casefold() for name in files}) < len(files):
        raise Problem(f"{path.name}: two files differ only in upper and lower case")
    model = Model(".mlpackage", files)
    spec_version(model)
    return model


def spec_version(model: Model) -> int:
    """The specification version, which decides the oldest systems.

    Raises:
        Problem: the package or its model cannot be read.
    """
    data = model.files[""] if "" in model.files else _specification(model.files)
    # Field 1 of Core ML's Model message, an int32; protobuf writes fields in order.
    if not data.startswith(b"\x08"):
        raise Problem("the model cannot be read: it does not begin with its specification version")
    version, shift = 0, 0
    for byte in data[1:6]:
        version |= (byte & 0x7F) << shift
        if byte < 0x80:
            return version
        shift += _VARINT_BITS
    raise Problem("the model cannot be read: its specification version has no end")


def _specification(files: dict[str, bytes]) -> bytes:
    try:
        manifest = json.loads(files["Manifest.json"])
        item = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
        return files[f"Data/{item['path']}"]
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(f"the model cannot be read: no readable Manifest.json ({error})") from error
