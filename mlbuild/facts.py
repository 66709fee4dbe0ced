"""What stage keys are made of besides the pipeline: code, toolchains, datasets, paths.

Each fact is looked up once for each build, and only if a stage of the build needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild import coreml, datasets, fingerprint
from mlbuild.errors import DataError, Problem
from mlbuild.lastrelease import LastRelease
from mlbuild.lazily import lazily
from mlbuild.records import Dataset, Json, Progress, ResolvedPipeline
from mlbuild.store.project import Store

if TYPE_CHECKING:
    import platform

    from mlbuild import registry
else:
    platform, registry = lazily("platform"), lazily("mlbuild.registry")

_ENGINE = Path(coreml.__file__).parents[1]
_FROZEN_VERSION = 1


def code_parts(kinds: registry.Registry, name: str) -> dict[str, Json]:
    """The parts of a stage key that come from the kind itself."""
    loaded = kinds.get(name)
    parts: dict[str, Json] = {
        "code": fingerprint.digest("code", code_listing(kinds, name)),
        "key_version": loaded.kind.key_version,
    }
    if not loaded.kind.portable:
        parts["platform"] = f"{platform.system()}-{platform.machine()}".lower()
    return parts


def code_listing(kinds: registry.Registry, name: str) -> dict[str, str]:
    """The files that a kind's code consists of: name -> MD5."""
    loaded = kinds.get(name)
    # Named relative to the stages folder, so that neither a checkout's place nor a wheel matters.
    files = {_code_name(loaded, path): path for path in registry.code_files(loaded)}
    return fingerprint.code_listing(files)


def _code_name(loaded: registry.LoadedKind, path: Path) -> str:
    if path.is_relative_to(loaded.stages_root):
        return path.relative_to(loaded.stages_root).as_posix()
    return path.relative_to(_ENGINE).as_posix()


class Shelf:
    """The datasets of a pipeline: their digests, and where they lie once they are needed.

    A dataset that the lock file knows is not fetched before a stage that reads it really runs.
    """

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        store: Store,
        cache: Path,
        progress: Progress,
        *,
        offline: bool = False,
        pull: bool = True,
        fetch: bool = True,
        held: bool = False,
    ) -> None:
        self._pipeline, self._store, self._cache, self._progress = pipeline, store, cache, progress
        self._offline, self._pull, self._fetch = offline, pull, fetch
        self._paths: dict[str, Path] = {}
        self._digests: dict[str, str | None] = {}
        self.frozen: dict[str, Json] = dict(store.datasets_frozen())
        self.release = LastRelease(pipeline, store, self.frozen, held)

    def digest(self, name: str) -> str | None:
        """The content's MD5 as DVC records it; None where planning alone must not fetch."""
        if name not in self._digests:
            self._digests[name] = self._digest(self._pipeline.datasets[name])
        return self._digests[name]

    def digest_again(self, name: str) -> str | None:
        """The same, looked at anew where it may have changed: cached downloads never do."""
        if self._pipeline.datasets[name].scheme == "path":
            self._digests.pop(name, None)
            self._store.digests.forget(self.path(name))
        return self.digest(name)

    def path(self, name: str) -> Path:
        """Where the dataset lies, fetching it first if it must be."""
        if name not in self._paths:
            dataset = self._pipeline.datasets[name]
            if dataset.scheme == "release":
                self._paths[name] = self.release.path(dataset, self._progress)
            elif dataset.scheme == "path":
                self._paths[name] = self._in_place(dataset)
            else:
                self._paths[name] = self._fetched(dataset)
        return self._paths[name]

    def versioned_paths(self) -> list[str]:
        """Path datasets that were read and lie in the project: DVC versions them."""
        root = self._pipeline.root
        return [
            path.relative_to(root).as_posix()
            for name, path in self._paths.items()
            if self._pipeline.datasets[name].scheme == "path" and path.is_relative_to(root)
        ]

    def _digest(self, dataset: Dataset) -> str | None:
        if dataset.scheme == "release":
            return self.release.digest(dataset)
        if dataset.scheme != "path":
            known = self._known(dataset)
            if known is not None:
                return str(known["md5"])
            if not self._fetch:
                return None
        elif not (self._pipeline.root / dataset.location).exists():
            # A clone whose data was not pulled: what DVC recorded is enough to plan with.
            tracked = self._store.tracked_digest(dataset.location)
            if tracked is not None:
                self._store.digests.watch(self._pipeline.root / f"{dataset.location}.dvc")
                return tracked
        found = self._store.digests.of(self.path(dataset.name))
        return found.md5 if found else None

    def _known(self, dataset: Dataset) -> Mapping[str, Json] | None:
        entry = self.frozen.get(dataset.name)
        if not isinstance(entry, Mapping) or entry.get("version") != _FROZEN_VERSION:
            return None
        return entry if entry.get("identity") == datasets.identity(dataset) else None

    def _fetched(self, dataset: Dataset) -> Path:
        known = self._known(dataset)
        fetched = self._get(dataset, known["source"] if known else None)
        found = self._store.digests.of(fetched.path)
        if found is None:
            raise DataError(Problem(f"dataset '{dataset.name}': nothing at {fetched.path}"))
        if known is not None and known["md5"] != found.md5:
            raise DataError(
                Problem(
                    f"dataset '{dataset.name}': its content is not what the lock file names",
                    dataset.place,
                    got=found.md5,
                    allowed=(str(known["md5"]),),
                    hint=f"remove its entry from {self._pipeline.name}-lock.json to accept the new "
                    "content",
                )
            )
        self.frozen[dataset.name] = {
            "version": _FROZEN_VERSION,
            "identity": datasets.identity(dataset),
            "md5": found.md5,
            "size": found.size,
            "source": dict(fetched.frozen),
        }
        return fetched.path

    def _in_place(self, dataset: Dataset) -> Path:
        """A dataset in the project or elsewhere on disk; pulled where DVC tracks it."""
        try:
            return self._get(dataset, None).path
        except datasets.MissingPathData:
            if not self._pull or self._offline:
                raise
            self._store.pull_dataset(dataset.location, self._progress)
        return self._get(dataset, None).path

    def _get(self, dataset: Dataset, frozen: Mapping[str, Json] | None) -> datasets.Fetched:
        return datasets.fetch(
            dataset,
            root=self._pipeline.root,
            cache=self._cache,
            offline=self._offline,
            progress=self._progress,
            frozen=frozen,
        )
