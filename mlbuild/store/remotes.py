"""DVC's remotes: the only file that imports dvc, and it is imported only when data must travel."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from mlbuild.errors import DataError
from mlbuild.records import Progress
from mlbuild.store.runs import run_key


def pull_objects(
    root: Path,
    wanted: Collection[str],
    missing: Callable[[str], set[str]],
    progress: Progress | None = None,
) -> None:
    """Brings objects, and what the folders among them list, into the local cache.

    What the remote does not have stays missing; having no remote is no error.

    Args:
        root: the project.
        wanted: digests.
        missing: digest -> what of it is not in the cache, as far as that is known.
        progress: counts objects.

    Raises:
        DataError: there is a remote, but it cannot be reached.
    """
    lacking = set().union(*map(missing, wanted))
    if not lacking:
        return
    with _repository(root) as repo:
        if repo is None:
            return
        for _ in ("listings and files", "what the listings name"):
            if progress:
                progress(0, float(len(lacking)), "fetching from the remote")
            _pull(repo, lacking)
            lacking = set().union(*map(missing, wanted)) - lacking
            if not lacking:
                break


def pull_runs(root: Path, keys: Iterable[str]) -> set[str]:
    """Copies the run-cache entries of stage keys from the remote; one look-up for each.

    Returns:
        The keys for which there was an entry.
    """
    found: set[str] = set()
    with _repository(root) as repo:
        if repo is None:
            return found
        remote = repo.cloud.get_remote_odb(None, "fetch --run-cache", hash_name="md5-dos2unix")
        local = Path(repo.cache.legacy.path)
        for key in keys:
            name = run_key(key)
            if _copy_runs(remote, name, local / "runs" / name[:2] / name):
                found.add(key)
    return found


def pull_target(root: Path, path: str) -> None:
    """`dvc pull` of one tracked path.

    Raises:
        DataError: it could not be had.
    """
    with _repository(root, need_remote=False) as repo:
        assert repo is not None
        from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # lazy, all of it

        try:
            repo.pull(targets=[str(root / path)])
        except DvcException as error:
            raise DataError(
                f"dataset {path} could not be pulled: {_first_line(error)}",
                hint="check `dvc remote list` and whether somebody has pushed it (`dvc push`)",
            ) from error


@contextlib.contextmanager
def _repository(root: Path, need_remote: bool = True) -> Iterator[Any]:
    """DVC's repository with its chatter and its telemetry off; None without a default remote."""
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.exceptions import DvcException  # lazy: 0.5 CPU s
    from dvc.repo import Repo  # type: ignore[import-untyped]

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # of libraries to one another
            contextlib.closing(Repo(str(root), _wait_for_lock=True)) as repo,
        ):
            has_remote = bool(repo.config["core"].get("remote"))
            yield repo if has_remote or not need_remote else None
    except (DvcException, OSError) as error:
        raise DataError(
            f"the DVC remote cannot be used: {_first_line(error)}",
            hint="check `dvc remote list`, or build without it: --offline",
        ) from error


def _pull(repo: Any, wanted: set[str]) -> None:
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo

    infos = {HashInfo("md5", md5) for md5 in wanted}
    try:
        repo.cloud.pull(infos)
    except (FileNotFoundError, DvcException):
        for info in infos:  # one that is not there must not keep the others away
            with contextlib.suppress(FileNotFoundError, DvcException):
                repo.cloud.pull({info})


def _copy_runs(remote: Any, name: str, to: Path) -> bool:
    folder = remote.fs.join(remote.path, "runs", name[:2], name)
    try:
        entries = list(remote.fs.find(folder))
    except (FileNotFoundError, NotADirectoryError):
        return False
    for source in entries:
        target = to / remote.fs.name(source)
        if not target.exists():
            to.mkdir(parents=True, exist_ok=True)
            temporary = to / f".{target.name}.{os.getpid()}"
            remote.fs.get_file(source, str(temporary))
            temporary.replace(target)
    return bool(entries)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
