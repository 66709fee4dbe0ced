"""What the ledger said at an earlier commit: artifacts of releases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import LedgerError
from mlbuild.lazily import lazily
from mlbuild.records import Digest, Json
from mlbuild.released import file_at
from mlbuild.store.artifacts import artifact_of
from mlbuild.store.yaml12 import load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms


def outputs_of(root: Path, release: str, commit: str) -> Mapping[str, tuple[str, Digest]]:
    """The artifacts of a release as they were at its commit.

    Args:
        root: the project.
        release: its name, "dogs".
        commit: that was released.

    Returns:
        Name of the artifact -> name of its file or folder, and digest. The main one is in it under
        its own name too.

    Raises:
        LedgerError: dvc.yaml or dvc.lock of that commit cannot be read.
    """
    listed = _read(root, commit, "dvc.yaml").get("artifacts")
    stages = _read(root, commit, "dvc.lock").get("stages")
    made = {
        str(out["path"]): out
        for stage in (stages.values() if isinstance(stages, dict) else ())
        for out in stage.get("outs", ())
        if "md5" in out
    }
    found: dict[str, tuple[str, Digest]] = {}
    for name, row in listed.items() if isinstance(listed, dict) else ():
        artifact = artifact_of(release, name, row)
        out = made.get(str(row.get("path"))) if isinstance(row, dict) else None
        if artifact is not None and out is not None:
            found[artifact] = (Path(str(out["path"])).name, _digest(out))
    return found


def _digest(out: Mapping[str, Json]) -> Digest:
    return Digest(str(out["md5"]), out.get("size", 0), out.get("nfiles"), bool(out.get("isexec")))


def _read(root: Path, commit: str, name: str) -> dict[str, Json]:
    data = file_at(root, commit, name)
    try:
        found = load(data.decode("utf-8")) if data is not None else {}
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise LedgerError(f"{name} of commit {commit[:12]} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
