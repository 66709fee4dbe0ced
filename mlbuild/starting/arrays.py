"""What an `.npz` holds: names, shapes and types, read from the headers alone."""

from __future__ import annotations

import ast
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import Problem, UsageError
from mlbuild.starting.found import FEW, Form, Found

_IMAGES, _CLASSES = ("x", "images", "data"), ("y", "labels", "target")
# Of zip, of deflate, of a locked archive, of a header that is none.
_SPOILT = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError,
           ValueError, SyntaxError, KeyError, TypeError, IndexError, MemoryError)  # fmt: skip
_MAGIC = b"\x93NUMPY"


class Header(NamedTuple):
    """Of one array."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def headers(path: Path) -> dict[str, Header]:
    """Arrays by name.

    Source: numpy's format, version 1.0 to 3.0: magic, version, length, a Python dictionary.

    Raises:
        UsageError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _header(archive.open(name).read(65536))
                for name in archive.namelist()
                if name.endswith(".npy")
            }
    except _SPOILT as error:
        problem = Problem(f"{path} is no file of arrays", got=str(error) or type(error).__name__)
        raise UsageError(problem) from error


def look_at_arrays(path: Path) -> Found:
    """Recordings of sensors, pixels, or other arrays."""
    held = headers(path)
    told = ", ".join(f"{name} {header}" for name, header in sorted(held.items())) or "nothing"
    if "values" in held and "labels" in held and len(held["values"].shape) == 3:
        moments = held["values"].shape[1]
        facts: dict[str, str | bool] = {
            "window": str(_window(moments)),
            "session": "",
            "few": held["values"].shape[0] < FEW,
        }
        return Found(path, Form.SESSIONS, told, facts)
    images = next((held[name] for name in _IMAGES if name in held), None)
    classes = any(name in held and len(held[name].shape) == 1 for name in _CLASSES)
    if images and classes and len(images.shape) in (3, 4):
        grey = len(images.shape) == 3 or images.shape[3] == 1
        side = max(8, min(images.shape[1:3]))
        return Found(path, Form.PIXELS, told, {"grey": grey, "side": str(side), "label": ""})
    return Found(path, Form.ARRAYS, told)


def _window(moments: int) -> int:
    return max(4, min(moments // 2, 100))


def _header(start: bytes) -> Header:
    if not start.startswith(_MAGIC):
        raise ValueError("an array without numpy's header")
    wide = start[6] >= 2
    begin = 12 if wide else 10
    size = int.from_bytes(start[8:begin], "little")
    facts = ast.literal_eval(start[begin : begin + size].decode("utf-8" if wide else "latin-1"))
    return Header(tuple(facts["shape"]), str(facts["descr"]))
