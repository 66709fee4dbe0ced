"""Turi Create's models on disk: equal models are equal bytes.

Its archives name their parts at random and keep how long training took. A part's name stands in
the archive's index, in the parts' own indices and nowhere else; a duration stands behind its key
as a number of eight bytes; the indices of columns hold bytes that nobody wrote. A topic model alone
keeps its words in the order of a hash that changes from process to process.
"""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path
from typing import Any, Dict  # noqa: UP035 - evaluated, on 3.8 too

from ..description.description import MEMBER, beside, inside
from ..problem.problem import Problem

_INDEX, _OBJECTS = "dir_archive.ini", "objects.bin"
_TIMES = (b"training_time", b"data_load_time", b"validation_time")
# A key with its length before it; behind it the tag of a variant and that of a float.
_MARK = b"\0\0\0\0\x81"
_BLOCK, _PADDING = 48, 6  # bytes
_ELAPSED = re.compile(r"time|elapsed", re.IGNORECASE)


def save(model: Any, folder: Path, description: Dict[str, Any], turicreate: Any) -> None:  # noqa: UP006
    """Write a model with what it says of itself; what stands there is replaced."""
    if folder.exists():
        shutil.rmtree(folder)
    model.save(str(folder))
    _timeless_tables(folder, turicreate)
    _named_plainly(folder)
    for data in folder.glob("m_*.[0-9]*"):
        data.write_bytes(padded(data.read_bytes()))
    objects = folder / _OBJECTS
    objects.write_bytes(timeless(objects.read_bytes()))
    beside(folder, description)


def load(folder: Path, turicreate: Any) -> Any:
    """Read a model.

    Raises:
        Problem: the folder holds none that this version can read.
    """
    if not (folder / _INDEX).is_file():
        raise Problem(
            f"{folder.name} is no model of Turi Create: it has no {_INDEX}",
            hint="give the folder that model.save() wrote",
        )
    try:
        return turicreate.load_model(str(folder))
    except Exception as error:  # whatever its C++ core raises
        told = str(error).strip().splitlines()
        raise Problem(f"{folder.name} cannot be read: {told[0] if told else error}") from error


def described(folder: Path) -> Dict[str, Any]:  # noqa: UP006
    """What ``save`` put beside the model; nothing for models of others."""
    return inside(folder)


def timeless(data: bytes) -> bytes:
    """The same bytes with every duration set to zero."""
    for key in _TIMES:
        pattern = struct.pack("<Q", len(key)) + key + _MARK
        start = data.find(pattern)
        while start >= 0:
            value = start + len(pattern)
            data = data[:value] + bytes(8) + data[value + 8 :]
            start = data.find(pattern, value)
    return data


def padded(data: bytes) -> bytes:
    """The same columns with zeros where their index has bytes that say nothing.

    A file of columns ends in a list of blocks for each column, and in the size of these lists. A
    block is five numbers of eight bytes, a type of two, and six that were never written.
    """
    (size,) = struct.unpack("<Q", data[-8:]) if len(data) >= 8 else (0,)
    start = len(data) - 8 - size
    if start < 0 or size < 8:
        return data
    index, place = bytearray(data[start:-8]), 8
    for _ in range(struct.unpack_from("<Q", index)[0]):
        if place + 8 > size:
            return data
        (blocks,) = struct.unpack_from("<Q", index, place)
        place += 8
        if place + blocks * _BLOCK > size:
            return data
        for _ in range(blocks):
            index[place + _BLOCK - _PADDING : place + _BLOCK] = bytes(_PADDING)
            place += _BLOCK
    return data[:start] + bytes(index) + data[-8:] if place == size else data


def _timeless_tables(folder: Path, turicreate: Any) -> None:
    """Tables of progress have a column of elapsed seconds: the same tables with zeros there."""
    for index in sorted(folder.glob("*.frame_idx")):
        names = re.findall(
            r"^\d{4}=(.*)$", index.read_text("utf-8").partition("[column_files]")[0], re.M
        )
        timed = [name for name in names if _ELAPSED.search(name)]
        if not timed:
            continue
        table = turicreate.load_sframe(str(index))
        for name in timed:
            table[name] = turicreate.SArray.from_const(0.0, len(table))
        fresh = folder.parent / f"{folder.name}-table"
        table.save(str(fresh))
        del table
        _replaced(folder, index.stem, fresh)
        shutil.rmtree(fresh)


def _replaced(folder: Path, stem: str, fresh: Path) -> None:
    """Put a saved table in the place of a part of an archive, under the part's name."""
    for old in folder.glob(f"{stem}.*"):
        old.unlink()
    (source,) = sorted(fresh.glob("*.frame_idx"))
    others = {file.stem for file in fresh.glob("m_*")} - {source.stem}
    if others:
        raise Problem(f"a table of {len(others) + 1} parts was not expected")
    for file in sorted(fresh.glob(f"{source.stem}.*")):
        _moved(file, folder / f"{stem}{file.suffix}", {source.stem: stem})


def _named_plainly(folder: Path) -> None:
    """Name parts by their place in the archive's index."""
    index = folder / _INDEX
    text = index.read_text("utf-8")
    parts = re.findall(r"^(\d{4})=(m_\w+)$", text, re.M)
    names = {old: f"m_{place}" for place, old in parts}
    for old, new in names.items():
        text = text.replace(f"={old}\n", f"={new}\n")
        for file in sorted(folder.glob(f"{old}.*")):
            _moved(file, folder / f"{new}{file.suffix}", {old: new})
    index.write_text(text, encoding="utf-8")
    strange = [f.name for f in folder.glob("m_*") if f.stem not in names.values()]
    if strange:
        raise Problem(f"the model's archive holds {strange[0]}, which its index does not name")


def _moved(file: Path, to: Path, names: Dict[str, str]) -> None:  # noqa: UP006
    if file.suffix in (".sidx", ".frame_idx"):
        text = file.read_text("utf-8")
        for old, new in names.items():
            text = text.replace(f"{old}.", f"{new}.")
        to.write_text(text, encoding="utf-8")
        file.unlink()
    else:
        file.replace(to)


def parts(folder: Path) -> int:
    """Bytes of the model, without what it says of itself."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.name != MEMBER)
