"""DVC's remotes: the only file that imports dvc, and it is imported only when data must travel."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlbuild.errors import DataError
from mlbuild.store.init import dvc_folder
from mlbuild.store.transport import AbsentError, RemoteError, unusable


class Cloud:
    """A remote behind one of DVC's file systems."""

    def __init__(self, name: str, fs: Any, top: str) -> None:
        self.name, self._fs, self._top = name, fs, top
        self.jobs = int(fs.jobs)

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            info = self._ask(self._fs.info, self._whole(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if info.get("type") == "directory" else int(info.get("size") or 0)

    def names(self, folder: str) -> list[str]:
        """The files of one folder; of a remote that cannot list (HTTP) none."""
        if not self._fs.CAN_TRAVERSE:
            return []
        try:
            found = self._ask(lambda: list(self._fs.find(self._whole(folder))))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self._fs.name(path) for path in found]

    def download(self, path: str, to: Path) -> None:
        """Copies a file here."""
        try:
            self._ask(self._fs.get_file, self._whole(path), str(to))
        except FileNotFoundError as error:
            raise AbsentError(f"{path} is not on the remote '{self.name}'") from error

    def upload(self, source: Path, path: str) -> None:
        """Replaces a file there."""
        if not source.exists():
            raise FileNotFoundError(source)
        target = self._whole(path)
        try:
            self._ask(self._fs.makedirs, self._fs.parent(target))
            self._ask(self._fs.put_file, str(source), target)
        except FileNotFoundError as error:  # no such bucket
            raise unusable(self.name, first_line(error)) from error

    def _whole(self, path: str) -> str:
        return str(self._fs.join(self._top, *path.split("/")))

    def _ask(self, do: Callable[..., Any], *arguments: str) -> Any:
        try:
            return do(*arguments)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except Exception as error:  # each file system has exceptions of its own
            raise unusable(self.name, first_line(error)) from error


def open_cloud(root: Path, name: str) -> Cloud:
    """A remote as DVC is configured for it: address, credentials, limits.

    Raises:
        RemoteError: there is no such remote, its plug-in is not installed, or it keeps files
            under their own names, where results of the past have no place.
    """
    _quiet()
    try:
        with warnings.catch_warnings(action="ignore"):  # of libraries to one another
            from dvc.config import Config  # type: ignore[import-untyped]  # lazy, all of it
            from dvc.fs import get_cloud_fs  # type: ignore[import-untyped]

            make, options, top = get_cloud_fs(
                Config(str(dvc_folder(root) or root / ".dvc")), name=name
            )
            if options.get("worktree") or options.get("version_aware"):
                raise unusable(name, "cloud-versioned remotes cannot hold a team's cache")
            return Cloud(name, make(**options), top)
    except RemoteError:
        raise
    except Exception as error:
        raise unusable(name, first_line(error)) from error


def pull_target(root: Path, path: str) -> None:
    """`dvc pull` of one tracked path.

    Raises:
        DataError: it could not be had.
    """
    hint = "check `dvc remote list` and whether somebody has pushed it (`dvc push`)"
    with _repository(root, f"dataset {path} could not be pulled", hint) as repo:
        repo.pull(targets=[str(root / path)])


def push_target(root: Path, file: str, remote: str | None, jobs: int | None) -> None:
    """`dvc push` of one `.dvc` file whose data only DVC knows how to name.

    Raises:
        DataError: it could not be sent.
    """
    hint = "check `dvc remote list` and its credentials"
    with _repository(root, f"{file} could not be pushed", hint) as repo:
        repo.push(targets=[str(root / file)], remote=remote, jobs=jobs)


@contextlib.contextmanager
def _repository(root: Path, failed: str, hint: str) -> Iterator[Any]:
    """DVC's repository with its chatter and its telemetry off."""
    _quiet()
    with warnings.catch_warnings(action="ignore"):
        from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # lazy: 0.5 CPU s
        from dvc.repo import Repo  # type: ignore[import-untyped]

        try:
            with contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo:
                yield repo
        except (DvcException, OSError) as error:
            raise DataError(f"{failed}: {first_line(error)}", hint=hint) from error


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _quiet() -> None:
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
