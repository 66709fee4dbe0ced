"""Datasets inside the root: `.dvc` files as `dvc add` writes them."""

from __future__ import annotations

from pathlib import Path

import yaml

from mlbuild.errors import DataError
from mlbuild.records import Digest, Json, Progress
from mlbuild.store.cache import Objects
from mlbuild.store.depends import inside
from mlbuild.store.digests import Digests
from mlbuild.store.files import explained, write_atomic
from mlbuild.store.gitignore import ignore, tracked
from mlbuild.store.yaml12 import Loader, entry, load


class Tracker:
    """Adds datasets to DVC and fetches them."""

    def __init__(self, root: Path, objects: Objects, digests: Digests) -> None:
        self._root = root
        self._objects = objects
        self._digests = digests

    def add(self, path: str, progress: Progress | None = None) -> Json:
        """Has DVC track a file or folder, and keeps its bytes in the cache.

        Args:
            path: relative to the root, or absolute.
            progress: of reading what is not known yet.

        Returns:
            {path, md5, by}: ``by`` says who versions it: "dvc", "git", or None outside the root.
        """
        whole = self._root / path
        digest = self._digests.of(whole, progress)
        if digest is None:
            raise DataError(f"dataset {path} does not exist", hint=f"looked for {whole}")
        relative = inside(self._root, path)
        facts: dict[str, Json] = {"path": relative or path, "md5": digest.md5, "by": None}
        if relative is None:
            return facts
        if self._is_output(relative) or tracked(self._root, relative):
            return {**facts, "by": "git"}
        file = self.tracker(relative)
        if file is None or file == self._dvc_file(relative):
            self._write(relative, digest)
        return {**facts, "by": "dvc"}

    def pull(self, path: str) -> bool:
        """Fetches a tracked dataset that is not here; False where nothing tracks it.

        Raises:
            DataError: the remote does not have it, or cannot be reached.
        """
        relative = inside(self._root, path)
        if relative is None or self.tracker(relative) is None:
            return False
        from mlbuild.store import remotes  # lazy: imports dvc, 0.5 CPU s

        remotes.pull_target(self._root, relative)
        return True

    def digest(self, path: str) -> str | None:
        """The MD5 that a dataset's own `.dvc` file records, whether the data is here or not."""
        relative = inside(self._root, path)
        if relative is None:
            return None
        try:
            return str(load(self._dvc_file(relative).read_text("utf-8"))["outs"][0]["md5"])
        except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def tracker(self, relative: str) -> Path | None:
        """The `.dvc` file that tracks a path or a folder above it."""
        while relative:
            file = self._dvc_file(relative)
            if file.exists():
                return file
            relative = relative.rpartition("/")[0]
        return None

    def _dvc_file(self, relative: str) -> Path:
        return self._root / f"{relative}.dvc"

    def _write(self, relative: str, digest: Digest) -> None:
        whole, file = self._root / relative, self._dvc_file(relative)
        self._objects.put_tree(whole, digest.md5, self._digests.listing(whole))
        item: dict[str, Json] = {"md5": digest.md5, "size": digest.size}
        if digest.nfiles is not None:
            item["nfiles"] = digest.nfiles
        if digest.isexec:
            item["isexec"] = True
        item |= {"hash": "md5", "path": whole.name}
        text = entry("outs", [item], indent=0)
        with explained("writing", file):
            if not file.exists() or not _same(file, item):
                write_atomic(file, text.encode())
        ignore(self._root, [relative])

    def _is_output(self, relative: str) -> bool:
        """Whether a stage of dvc.yaml makes it (a user's own stage: DVC tracks it already)."""
        file = self._root / "dvc.yaml"
        if not file.exists():
            return False
        try:
            top = yaml.load(file.read_text("utf-8"), Loader)
            stages = top.get("stages", {}).values()
            outs = [
                o for s in stages for key in ("outs", "metrics", "plots") for o in s.get(key, [])
            ]
        except (yaml.YAMLError, AttributeError, TypeError, ValueError):
            return False
        paths = {p for out in outs for p in ([out] if isinstance(out, str) else out)}
        return any(relative == p or relative.startswith(f"{p}/") for p in paths)


def _same(file: Path, item: dict[str, Json]) -> bool:
    """Whether a `.dvc` file says this already, perhaps with a user's own additions."""
    try:
        out = load(file.read_text("utf-8"))["outs"][0]
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, IndexError):
        return False
    return isinstance(out, dict) and all(out.get(k) == v for k, v in item.items())
