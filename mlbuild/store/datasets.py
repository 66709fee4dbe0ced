"""Datasets inside the root: `.dvc` files as `dvc add` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import DataError
from mlbuild.lazily import lazily
from mlbuild.records import Digest, Json, Progress
from mlbuild.store.cache import Objects, is_digest
from mlbuild.store.depends import inside
from mlbuild.store.digests import Digests
from mlbuild.store.files import explained, remove, write_atomic
from mlbuild.store.gitignore import ignore, tracked
from mlbuild.store.meter import Meter
from mlbuild.store.publish import move_path
from mlbuild.store.team import Team
from mlbuild.store.yaml12 import entry, load

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms


class Tracker:
    """Adds datasets to DVC and fetches them."""

    def __init__(self, root: Path, objects: Objects, digests: Digests, team: Team) -> None:
        self._root = root
        self._objects = objects
        self._digests = digests
        self._team = team

    def add(self, path: str, progress: Progress | None = None) -> Json:
        """Has DVC track a file or folder, and keeps its bytes in the cache.

        Args:
            path: relative to the root, or absolute.
            progress: of reading and storing what is not known yet.

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
            self._write(relative, digest, progress)
        return {**facts, "by": "dvc"}

    def pull(self, path: str, progress: Progress | None = None) -> bool:
        """Fetches a tracked dataset that is not here; False where nothing tracks it.

        Raises:
            DataError: the remote does not have it, cannot be reached, or has other bytes.
        """
        relative = inside(self._root, path)
        file = self.tracker(relative) if relative is not None else None
        if relative is None or file is None:
            return False
        digest = plain_digest(file)
        whole = file == self._dvc_file(relative)
        here = digest is not None and self._fetch(relative, file, digest, progress)
        if here and digest is not None and whole:
            self._check_out(relative, digest)
            return True
        from mlbuild.store import remotes  # lazy: imports dvc, 0.5 CPU s

        remotes.pull_target(self._root, relative)
        return True

    def tracked(self, path: str) -> tuple[str, Digest | None] | None:
        """The `.dvc` file that tracks a dataset, below the root, and what it records.

        The digest is None where only DVC can tell which objects are meant.
        """
        relative = inside(self._root, path)
        file = self.tracker(relative) if relative is not None else None
        if file is None:
            return None
        return file.relative_to(self._root).as_posix(), plain_digest(file)

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

    def _fetch(self, relative: str, file: Path, digest: Digest, progress: Progress | None) -> bool:
        """Brings a dataset's objects, each verified; False where DVC may know another place."""
        fetched = self._team.fetch_objects([digest.md5], progress, whole=False)
        wanted = [digest.md5]
        if digest.md5.endswith(".dir") and not fetched.missing | fetched.corrupt:
            inner = relative.removeprefix(file.relative_to(self._root).as_posix()[:-4]).strip("/")
            listing = self._objects.listing(digest.md5) or {}
            wanted = [m for rel, m in listing.items() if _below(rel, inner)]
            fetched = self._team.fetch_objects(wanted, progress)
        if fetched.corrupt:
            raise DataError(
                f"dataset {relative}: its object {min(fetched.corrupt)} on the remote is corrupt; "
                "nothing of it was kept",
                hint="whoever has the data puts it right: mlbuild push --verify",
            )
        return not fetched.missing

    def _check_out(self, relative: str, digest: Digest) -> None:
        """Puts a dataset into place, whole or not at all."""
        aside = self._root / ".mlbuild" / "incoming" / digest.md5
        with explained("putting a dataset into place", self._root / relative):
            remove(aside)
            found = self._objects.checkout(digest, aside)
            (self._root / relative).parent.mkdir(parents=True, exist_ok=True)
            move_path(aside, self._root / relative)
        self._digests.learn(self._root / relative, digest, found.listing)

    def _dvc_file(self, relative: str) -> Path:
        return self._root / f"{relative}.dvc"

    def _write(self, relative: str, digest: Digest, progress: Progress | None) -> None:
        whole, file = self._root / relative, self._dvc_file(relative)
        meter = Meter(progress, f"storing {relative}", digest.size)
        self._objects.put_tree(whole, digest.md5, self._digests.listing(whole), meter)
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
            top = load(file.read_text("utf-8"))
            stages = top.get("stages", {}).values()
            outs = [
                o for s in stages for key in ("outs", "metrics", "plots") for o in s.get(key, [])
            ]
        except (yaml.YAMLError, AttributeError, TypeError, ValueError):
            return False
        paths = {p for out in outs for p in ([out] if isinstance(out, str) else out)}
        return any(relative == p or relative.startswith(f"{p}/") for p in paths)


def plain_digest(file: Path) -> Digest | None:
    """What a `.dvc` file records, where its data lies in the default remote under its MD5.

    None for everything else: data of other repositories, other remotes, cloud versions, other
    hashes, folders of DVC 2: only DVC knows where that is.
    """
    try:
        found = load(file.read_text("utf-8"))
        (out,) = found["outs"]
        if "deps" in found or out.get("hash") != "md5" or {"remote", "files", "push"} & set(out):
            return None
        digest = Digest(
            str(out["md5"]), int(out.get("size", 0)), out.get("nfiles"), bool(out.get("isexec"))
        )
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return digest if is_digest(digest.md5) and out.get("cache", True) else None


def _below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _same(file: Path, item: dict[str, Json]) -> bool:
    """Whether a `.dvc` file says this already, perhaps with a user's own additions."""
    try:
        out = load(file.read_text("utf-8"))["outs"][0]
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, IndexError):
        return False
    return isinstance(out, dict) and all(out.get(k) == v for k, v in item.items())
