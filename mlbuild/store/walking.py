"""What lies in a folder, with its stat data: every file that DVC would count, nothing else."""

from __future__ import annotations

import os
import stat as st
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import DataError
from mlbuild.store.files import explain
from mlbuild.store.ignoring import Ignore, Rules
from mlbuild.store.statcache import Sig

_IGNORED_FOLDERS = {".git", ".hg", ".dvc"}  # what DVC leaves out of every folder


class Walk(NamedTuple):
    """Files and folders in the order in which the filesystem names them."""

    names: list[str]  # of files: relative paths with '/'
    sigs: list[Sig]  # of files
    folders: list[tuple[str, Sig]]  # whole paths


def sig_of(found: os.stat_result) -> Sig:
    """The stat data by which a change is noticed."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def walk(top: str, ignore: Ignore | None = None, place: str | None = None) -> Walk:
    """Looks at everything below a folder.

    Args:
        top: the folder.
        ignore: the project's rules for what does not count.
        place: where the folder will lie, as far as rules go: a result is still in its scratch.

    Raises:
        DataError: unreadable, or something in it is no file and no folder.
    """
    found = Walk([], [], [])
    ignore = ignore if ignore and ignore.below(place or top) else None
    stack = [""]
    while stack:
        prefix = stack.pop()
        folder = f"{top}/{prefix}".removesuffix("/")
        try:
            sig = sig_of(os.stat(folder))  # noqa: PTH116
            with os.scandir(folder) as entries:
                children = list(entries)
        except OSError as error:
            raise explain(error, "reading", Path(folder)) from error
        if prefix and any(e.name == ".dvc" for e in children):
            continue  # a DVC repository of its own: DVC leaves it out of the folder above
        found.folders.append((folder, sig))
        if ignore:
            where = f"{place or top}/{prefix}".removesuffix("/")
            children = _counted(children, where, ignore)
        for entry in children:
            _visit(entry, prefix, stack, found)
    return found


def _counted(
    children: list[os.DirEntry[str]], where: str, ignore: Ignore
) -> list[os.DirEntry[str]]:
    rules: Rules | None = ignore.rules(where)
    if rules is None:
        return children
    prefix = ignore.relative(where)
    return [e for e in children if not rules.ignore(prefix + e.name, _is_folder(e))]


def _visit(entry: os.DirEntry[str], prefix: str, stack: list[str], walk: Walk) -> None:
    if entry.name == ".git":  # a file of that name too: a worktree has one
        return
    try:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _IGNORED_FOLDERS:
                stack.append(f"{prefix}{entry.name}/")
            return
        found = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            raise dangling(entry.path) from None
        return  # removed while we looked: the folder's stat data tell
    except OSError as error:
        raise explain(error, "reading", Path(entry.path)) from error
    if not st.S_ISREG(found.st_mode):
        raise _linked(entry.path) if st.S_ISDIR(found.st_mode) else strange(entry.path)
    walk.names.append(prefix + entry.name)
    walk.sigs.append((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()  # DVC follows links here
    except OSError:
        return False


def dangling(path: str) -> DataError:
    """A link to nothing."""
    return DataError(
        f"{path} is a link to {os.readlink(path)!r}, which does not exist",  # noqa: PTH115
        hint="remove the link or put its target back",
    )


def strange(path: str) -> DataError:
    """A pipe, a socket, a device."""
    return DataError(
        f"{path} is neither a file nor a folder",
        hint="sockets, pipes and devices hold no data: remove it or name another path",
    )


def _linked(path: str) -> DataError:
    return DataError(
        f"{path} is a link to a folder; DVC does not look behind it",
        hint="put the folder itself in its place, or declare what it points to as an input",
    )
