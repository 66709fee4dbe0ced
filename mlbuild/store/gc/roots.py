"""Who needs which results: checkouts as they lie on disk, and all that git has a name for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import DataError, UsageError
from mlbuild.store.files import explained
from mlbuild.store.gc import git
from mlbuild.store.gc.blobs import Blobs
from mlbuild.store.gc.named import is_ledger, named
from mlbuild.store.gitignore import git_top
from mlbuild.store.init import cache_settings, dvc_folder
from mlbuild.store.record import BuildRecord

_STATE, _DVC = ".mlbuild", ".dvc"


@dataclass(frozen=True, slots=True)
class Need:
    """Digests of outputs, files and listings, that somebody needs."""

    kind: str  # checkout, worktree, branch, release, tag, remote branch, stash, past, recent, ...
    name: str
    digests: frozenset[str]


@dataclass(frozen=True, slots=True)
class Project:
    """One repository, or one folder outside git: what its parts need, and where builds may run."""

    needs: tuple[Need, ...]
    roots: tuple[Path, ...]  # folders with a `.dvc` or `.mlbuild` of their own, in any checkout
    notes: tuple[str, ...]


def gather(root: Path, all_commits: bool = False, other: bool = False) -> Project:
    """All that a project and its repository need.

    Args:
        root: the project.
        all_commits: every commit counts, not only those with a name.
        other: it is somebody else's than the caller's: its path stands in all names.

    Raises:
        DataError: something could not be read, so that a guess would lose results.
    """
    top = git_top(root)
    own = dvc_folder(root)
    suffix = f" of {root}" if other else ""
    first = f"project {root}" if other else "this checkout"
    if top is None:
        disk = _on_disk(own.parent if own else root, ())
        return Project((Need("checkout", first, disk.digests),), disk.roots, ())
    trees = git.worktrees(top)
    needs: list[Need] = []
    roots: list[Path] = []
    notes: list[str] = []
    with Blobs(top) as blobs:
        for tree in sorted(trees, key=lambda t: not _same(t.path, top)):
            mine = _same(tree.path, top)
            kind, name = ("checkout", first) if mine else ("worktree", f"{tree.path}")
            held = _committed(tree, blobs)
            if tree.there:
                disk = _on_disk(tree.path, [t.path for t in trees if t != tree])
                roots += disk.roots
                held |= disk.digests
            else:
                notes.append(f"worktree {tree.path} is not there: only its last commit is known")
            needs.append(Need(kind, name, held))
        for ref in git.refs(top, all_commits):
            needs.append(Need(ref.kind, ref.name + suffix, blobs.of(ref)))
    return Project(tuple(needs), tuple(roots), tuple(notes))


def users_of(cache: Path, roots: Iterable[Path]) -> list[Path]:
    """Those of the folders whose results lie in that cache."""
    found = dict.fromkeys(root for root in roots if dvc_folder(root))
    return [root for root in found if cache_settings(root)[0].resolve() == cache]


def others(root: Path, paths: Iterable[Path], cache: Path) -> list[Path]:
    """The roots of other projects that are named as users of a shared cache.

    Raises:
        UsageError: one is no DVC project, or keeps its results elsewhere.
    """
    found = []
    for path in paths:
        top = path.absolute().resolve()
        if dvc_folder(top) is None:
            raise UsageError(f"{path} is no DVC project: it has no .dvc folder")
        theirs = cache_settings(top)[0].resolve()
        if theirs != cache:
            raise UsageError(
                f"{path} does not use the cache {cache}",
                hint=f"its own is {theirs}; leave it out of --projects",
            )
        if top != root:
            found.append(top)
    return found


@dataclass(frozen=True, slots=True)
class _Disk:
    digests: frozenset[str]
    roots: tuple[Path, ...]


def _committed(tree: git.Worktree, blobs: Blobs) -> frozenset[str]:
    """What a checkout's HEAD, its index and an unfinished merge or rebase name."""
    held = [tree.head] if tree.head else []
    if not tree.there:
        return frozenset().union(*(blobs.of(git.Ref("commit", "HEAD", c)) for c in held))
    held += git.unfinished(tree.path)
    found = [blobs.of(git.Ref("commit", f"HEAD of {tree.path}", commit)) for commit in held]
    found += [blobs.blob(name, blob) for name, blob in git.staged(tree.path)]
    return frozenset().union(*found)


def _on_disk(top: Path, elsewhere: Iterable[Path]) -> _Disk:
    """What a checkout's files say as they lie there, whether git knows them or not."""
    digests: set[str] = set()
    roots: list[Path] = []
    skip = {os.fspath(path) for path in elsewhere}
    for folder, folders, files in _walk(top, skip):
        if _STATE in folders or _DVC in folders:
            roots.append(Path(folder))
        if _STATE in folders:
            digests |= _recorded(Path(folder, _STATE))
        for name in files:
            if is_ledger(name):
                digests |= _read(Path(folder, name))
        tracked = {name.removesuffix(".dvc") for name in files if name.endswith(".dvc")}
        # Data has no ledger inside; it may be a million files.
        folders[:] = [f for f in folders if f not in tracked and f not in (_STATE, _DVC, ".git")]
    return _Disk(frozenset(digests), tuple(roots))


def _walk(top: Path, skip: set[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(error: OSError) -> None:
        raise error

    with explained("looking for ledgers", top):
        for folder, folders, files in os.walk(top, onerror=refuse):
            if folder in skip:
                folders[:] = []
                continue
            yield folder, folders, files


def _read(file: Path) -> frozenset[str]:
    with explained("reading the ledger", file):
        try:
            text = file.read_text("utf-8", "replace")
        except FileNotFoundError:  # deleted meanwhile, or a link to nowhere
            return frozenset()
        except IsADirectoryError as error:
            raise DataError(f"{file} is a folder, not a file of the ledger") from error
        return named(file.name, text)


def _recorded(state: Path) -> set[str]:
    """What the build records name: results that no commit of the ledger holds yet, too."""
    found: set[str] = set()
    for file in sorted((state / "build").glob("*.log")):
        record = BuildRecord(file)
        for stage in record.stages():
            entry = record.get(stage)
            found |= {d.md5 for d in entry.record.outputs.values()} if entry else set()
    return found


def _same(one: Path, two: Path) -> bool:
    return one == two or (one.exists() and two.exists() and one.samefile(two))
