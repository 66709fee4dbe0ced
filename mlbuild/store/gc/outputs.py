"""Results below `build/` that no stage makes any more."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from pathlib import Path

from mlbuild.errors import DataError
from mlbuild.store.digests import Digests
from mlbuild.store.gc.inventory import Entry
from mlbuild.store.gc.leftovers import Leftover, measured
from mlbuild.store.record import BuildRecord

OPTION = "--outputs"


def orphans(
    root: Path, declared: Set[str], known: Mapping[str, Collection[str]]
) -> tuple[list[Leftover], list[Path]]:
    """Folders `build/<pipeline>/<stage>` that belong to no stage.

    Args:
        root: the project.
        declared: the paths of all outputs that some pipeline has, relative to the root.
        known: path -> digests of what mlbuild ever put there, as far as it is recorded.

    Returns:
        Those that hold nothing but recorded results, and those with something in them that
        somebody else made or changed, which are never deleted.
    """
    found: list[Leftover] = []
    foreign: list[Path] = []
    digests = Digests(root / ".mlbuild", root)
    above = {folder for path in declared for folder in _upwards(path)}
    by_folder: dict[str, set[str]] = defaultdict(set)
    for path in known:
        by_folder["/".join(path.split("/")[:3])].add(path)
    for folder in sorted(root.glob("build/*/*/")):
        name = folder.relative_to(root).as_posix()
        if folder.name.startswith(".") or folder.is_symlink() or name in above:
            continue  # scratch, or what a stage makes
        if not declared.isdisjoint(_upwards(name)):
            continue  # it lies in an output
        good = {path for path in by_folder[name] if _is_as_recorded(root, path, known, digests)}
        if _covers(root, folder, good):
            found.append(Leftover("output", folder, *measured(folder), OPTION))
        else:
            foreign.append(folder)
    return found, foreign


def recorded(root: Path, entries: Iterable[Entry]) -> dict[str, set[str]]:
    """Path -> digests of what was ever built there: by the build records and the run cache."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for path, md5 in entry.outs.items():
            found[path].add(md5)
    for file in (root / ".mlbuild" / "build").glob("*.log"):
        record = BuildRecord(file)
        for stage in record.stages():
            known = record.get(stage)
            for name, path in known.paths.items() if known else ():
                if known and name in known.record.outputs:
                    found[path].add(known.record.outputs[name].md5)
    return found


def _upwards(path: str) -> list[str]:
    """A path and all folders that it lies in."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_as_recorded(
    root: Path, path: str, known: Mapping[str, Collection[str]], digests: Digests
) -> bool:
    try:
        found = digests.of(root / path)
    except DataError:  # a dangling link, a pipe: nobody recorded that
        return False
    return found is not None and found.md5 in known[path]


def _covers(root: Path, folder: Path, results: Collection[str]) -> bool:
    """Whether every file in a folder is part of one of the results."""
    for inner, _, files in os.walk(folder):
        for name in files:
            path = Path(inner, name).relative_to(root).as_posix()
            if name != ".gitignore" and not any(part in results for part in _upwards(path)):
                return False
    return True
