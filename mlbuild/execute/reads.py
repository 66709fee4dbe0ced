"""What the processes of a stage read: noted by them as they run, collected when they have ended.

Every Python that a stage starts notes it by itself: `inside/startup/` is put on its path. That
leaves the command alone: no tracer, no wrapper, nothing that a program other than Python would see
but two variables more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mlbuild.execute.inside.startup.mlbuild_reads import LISTED, VARIABLE

_STARTUP = str(Path(__file__).parent / "inside" / "startup")
_LONGEST = 16_384  # bytes of a variable; it only keeps the notes short
_ROW = re.compile(rb"([rl])(\d+):(.+)", re.DOTALL)


class Access(NamedTuple):
    """A file that was read or a folder that was listed; ``changed`` is its ctime at that time."""

    path: str  # absolute
    listed: bool
    changed: int  # in ns; 0 where that is not known


def notes_file(work: Path) -> str:
    """Where the processes of a stage note what they read; outputs never begin with a dot there."""
    return f"{work}/.reads"


def watched(
    variables: Mapping[str, str], root: Path, notes: str | Path, declared: Iterable[Path]
) -> dict[str, str]:
    """The environment of a stage whose Python processes note what they read."""
    places = (os.fspath(notes), os.fspath(root), _real(root))
    if any(os.pathsep in place for place in (*places, _STARTUP)):
        return dict(variables)  # such a folder cannot be put on PYTHONPATH
    own = variables.get("PYTHONPATH")
    return {
        **variables,
        "PYTHONPATH": f"{_STARTUP}{os.pathsep}{own}" if own else _STARTUP,
        VARIABLE: os.pathsep.join([*places, *_unwatched(declared, places[1:])]),
    }


def unwatched(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without what `watched` added."""
    left = {name: value for name, value in variables.items() if name != VARIABLE}
    paths = left.pop("PYTHONPATH", "").split(os.pathsep)
    paths = paths[1:] if paths[0] == _STARTUP else paths
    return {**left, "PYTHONPATH": os.pathsep.join(paths)} if any(paths) else left


def noted(notes: str | Path) -> Iterator[Access]:
    """What was noted. A row that a full disk cut short is left out."""
    try:
        with open(notes, "rb") as file:
            rows = file.read().split(b"\0")
    except OSError:  # no Python ran, or none read anything
        return
    for row in rows[:-1]:
        if match := _ROW.fullmatch(row):
            yield Access(os.fsdecode(match[3]), match[1] == LISTED, int(match[2]))


def _unwatched(declared: Iterable[Path], roots: Iterable[str]) -> Iterator[str]:
    """Declared inputs relative to the project, as many as fit."""
    room = _LONGEST
    prefixes = tuple(root.rstrip("/") + "/" for root in roots)
    for path in map(os.fspath, declared):
        prefix = next((p for p in prefixes if path.startswith(p)), None)
        if prefix is None or os.pathsep in path:
            continue
        room -= len(path)
        if room < 0:
            return
        yield path[len(prefix) :]


@cache
def _real(root: Path) -> str:
    return os.path.realpath(root)
