"""A remote's files, by their paths below its top.

A remote that is a folder is read and written as such; every other one goes through DVC, which
knows its protocol and its credentials. Importing DVC costs more than a small build.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlbuild.errors import DataError
from mlbuild.lazily import lazily
from mlbuild.store.copying import clone
from mlbuild.store.init import Setting, remote_settings

if TYPE_CHECKING:
    from concurrent import futures
else:
    futures = lazily("concurrent.futures")  # with logging: 7 ms

T = TypeVar("T")
R = TypeVar("R")

_STALE_SECONDS = 86_400
_URL = re.compile(r"\w+://")


class RemoteError(DataError):
    """A remote is not configured as it should be, cannot be reached, or refuses."""


class AbsentError(DataError):
    """A remote has no such file."""


class Files(Protocol):
    """What mlbuild asks of a remote."""

    name: str
    jobs: int  # transfers at one time

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""

    def names(self, folder: str) -> list[str]:
        """The files of one folder; a single look-up."""

    def download(self, path: str, to: Path) -> None:
        """Copies a file here; AbsentError where there is none."""

    def upload(self, source: Path, path: str) -> None:
        """Replaces a file there, whole or not at all where the remote can do that."""


class Folder:
    """A remote that is a folder of this machine: a mounted disk, a share."""

    jobs = 4

    def __init__(self, name: str, top: Path, shared: bool = False) -> None:
        self.name, self._top = name, top
        self._modes = (0o2775, 0o664) if shared else (None, None)
        self._swept = False

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with self._explained():
            try:
                return (self._top / path).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                self._mounted()
                return None

    def names(self, folder: str) -> list[str]:
        """The files of one folder."""
        with self._explained():
            try:
                return os.listdir(self._top / folder)  # noqa: PTH208 - names only
            except (FileNotFoundError, NotADirectoryError):
                self._mounted()
                return []

    def download(self, path: str, to: Path) -> None:
        """Copies a file here."""
        with self._explained(here=(errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
            try:
                clone(str(self._top / path), str(to))
            except FileNotFoundError as error:
                self._mounted()
                raise AbsentError(f"{self._top / path} is not there") from error

    def upload(self, source: Path, path: str) -> None:
        """Replaces a file there; a reader sees the old one or the new one."""
        with self._explained():
            self._mounted()
            target = self._top / path
            temporary = self._temporary()
            try:
                clone(str(source), str(temporary))
                self._make(target.parent)
                if path.startswith("files/"):
                    temporary.chmod(0o444)  # as DVC protects objects
                elif self._modes[1]:
                    temporary.chmod(self._modes[1])
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def _mounted(self) -> None:
        """A remote nobody has pushed to yet is no error; one whose disk is not there is."""
        if not self._top.parent.is_dir():
            where = self._top.parent
            raise unusable(self.name, f"{where} is not there: mount it, or make it if it is new")

    def _temporary(self) -> Path:
        folder = self._top / ".mlbuild"  # beside what DVC lists
        self._make(folder)
        if not self._swept:
            self._swept = True
            for left in folder.iterdir():  # by killed processes, perhaps of other machines
                with contextlib.suppress(OSError):
                    if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                        left.unlink()
        return folder / f"{os.getpid()}-{os.urandom(8).hex()}"

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            if self._modes[0]:
                folder.chmod(self._modes[0])

    @contextlib.contextmanager
    def _explained(self, here: tuple[int, ...] = ()) -> Iterator[None]:
        """Turns an error into one about the remote, except those that only this side can have."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in here:
                raise
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise unusable(self.name, what) from error


def open_remote(root: Path, name: str | None = None) -> Files | None:
    """The remote of that name, or DVC's default one; None where there is no default.

    Raises:
        RemoteError: there is no such remote, or DVC cannot use it.
    """
    default, settings = remote_settings(root)
    wanted = name or default
    if not wanted:
        return None
    options = settings.get(wanted.lower()) or settings.get(wanted)
    if options is not None and set(options) <= {"url", "shared"} and "url" in options:
        top = _local(options["url"])
        if top is not None:
            shared = options["shared"].value == "group" if "shared" in options else False
            return Folder(wanted, top, shared)
    from mlbuild.store import remotes  # lazy: imports dvc

    return remotes.open_cloud(root, wanted)


def in_parallel(
    work: Callable[[T], R],
    items: Iterable[T],
    jobs: int,
    done: Callable[[T], None] | None = None,
) -> list[R]:
    """Does it for every item, on threads; after a failure or Ctrl-C no further one is begun.

    Args:
        work: what to do with an item.
        items: on which.
        jobs: how many at one time.
        done: told of each item as it is finished, in this thread.

    Returns:
        The results, in the order of the items.
    """
    rows = list(items)
    if len(rows) == 1 or jobs == 1:
        found = []
        for item in rows:
            found.append(work(item))
            if done:
                done(item)
        return found
    stopped, results = Event(), dict[T, R]()

    def unless_stopped(item: T) -> bool:
        if stopped.is_set():
            return False
        try:
            results[item] = work(item)
        except BaseException:
            stopped.set()
            raise
        return True

    with futures.ThreadPoolExecutor(max(1, min(jobs, len(rows)))) as pool:
        begun = {pool.submit(unless_stopped, item): item for item in rows}
        try:
            for future in futures.as_completed(begun):
                if future.result() and done:
                    done(begun[future])
        except BaseException:  # Ctrl-C in this thread too
            stopped.set()
            raise
    return [results[item] for item in rows]


def unusable(name: str, why: str) -> RemoteError:
    """The error for a remote that does not do what it is asked for."""
    return RemoteError(
        f"the DVC remote '{name}' cannot be used: {why}",
        hint="check `dvc remote list` and its credentials, or build without it: --offline",
    )


def _local(url: Setting) -> Path | None:
    """The folder that a remote's address means; None where only DVC can tell."""
    if _URL.match(url.value) or set(url.value) & set("#,;'\"$"):
        return None
    return Path(os.path.normpath(url.folder / os.path.expanduser(url.value)))  # noqa: PTH111
