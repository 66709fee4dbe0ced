"""Choosing files by a glob: ``*`` stays within a folder, ``**`` crosses folders."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlbuild.errors import PipelineError, Place, Problem

_WILD = re.compile(r"[*?\[]")
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Picked:
    """What a glob chose."""

    places: Mapping[str, str]  # member -> path below the dataset's folder
    single: str | None  # the path of the one file that a glob without wildcards names


def pick(names: Collection[str], glob: str) -> Picked:
    """The members that ``glob`` means, without the folders that it spells out.

    A glob without wildcards names one file, or a folder with all that it holds.
    """
    segments = glob.split("/")
    fixed = next((i for i, s in enumerate(segments) if _WILD.search(s)), None)
    if fixed is None:
        if glob in names:
            return Picked({glob: segments[-1]}, segments[-1])
        fixed, glob = len(segments), glob + "/**"
    prefix = "".join(s + "/" for s in segments[:fixed])
    matches = _matcher(glob)
    return Picked({n: n[len(prefix) :] for n in sorted(names) if matches(n)}, None)


def nearby(names: Collection[str], glob: str) -> tuple[str, ...]:
    """A few members where the glob points, for a message that nothing matched."""
    folder = glob.rpartition("/")[0]
    while True:
        below = sorted(n for n in names if n.startswith(folder + "/" if folder else ""))
        if below or not folder:
            break
        folder = folder.rpartition("/")[0]
    close = difflib.get_close_matches(glob, below, n=_SHOWN, cutoff=0.3)
    shown = sorted([*close, *(n for n in below if n not in close)][:_SHOWN])
    rest = len(below) - len(shown)
    return (*shown, f"and {rest} more") if rest else tuple(shown)


def check_glob(dataset: str, glob: object, place: Place | None) -> str:
    """The glob as text.

    Raises:
        PipelineError: it is no relative path.
    """
    if isinstance(glob, str) and glob and ".." not in glob.split("/") and glob[0] != "/":
        return glob.removeprefix("./").rstrip("/")
    what = f"dataset '{dataset}': 'files' is a path or glob inside the data"
    hint = 'for example files: "images/*.jpg"'
    raise PipelineError(Problem(what, place, got=repr(glob), hint=hint))


def _matcher(glob: str) -> Callable[[str], bool]:
    """Whether a whole member name matches, folder by folder."""
    segments = [
        None if s == "**" else re.compile(fnmatch.translate(s)).match for s in glob.split("/")
    ]

    def matches(name: str) -> bool:
        parts = name.split("/")
        reached = {0}  # how many segments may be used up before this part
        for part in parts:
            reached = {after for at in _through(segments, reached) for after in step(part, at)}
        return len(segments) in reached

    def step(part: str, at: int) -> tuple[int, ...]:
        segment = segments[at]
        if segment is None:
            return (at, at + 1) if at + 1 == len(segments) else (at,)
        return (at + 1,) if segment(part) else ()

    return matches


def _through(segments: Sequence[object], reached: Iterable[int]) -> set[int]:
    """Positions that can take a part, where ``**`` in the middle may also take none."""
    found: set[int] = set()
    for at in reached:
        while at < len(segments):
            found.add(at)
            if segments[at] is not None or at + 1 == len(segments):
                break
            at += 1
    return found
