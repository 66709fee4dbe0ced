"""What the digests in a stage's key stand for: noted when it is recorded, told by `explain`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import MlbuildError
from mlbuild.facts import code_listing
from mlbuild.plan import Planned
from mlbuild.records import (
    DatasetRef,
    Input,
    Json,
    PathRef,
    ResolvedPipeline,
    Source,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.store.listings import packages_of
from mlbuild.store.project import Store

if TYPE_CHECKING:  # a build of commands alone needs neither
    from mlbuild.registry import Registry
    from mlbuild.toolchains import Toolchains

_SIZE = re.compile(r"^ +md5: '?([0-9a-f]{32}(?:\.dir)?)'?\n +size: (\d+)$", re.M)


def keep(
    planned: Planned,
    store: Store,
    kinds: Callable[[], Registry],
    toolchains: Callable[[], Toolchains],
) -> None:
    """Notes what a stage was made of; costs next to nothing where that is known already."""
    listings, parts, stage = store.listings, planned.parts, planned.stage
    code, toolchain = parts.get("code"), parts.get("toolchain")
    with contextlib.suppress(MlbuildError, OSError):  # it is knowledge for people, no fact
        if stage.kind and code and not listings.has(code):
            found = code_listing(kinds(), stage.kind)
            listings.keep_code(code, found)
        if stage.toolchain and toolchain and not listings.has(toolchain):
            listings.keep_packages(toolchain, toolchains().lock(stage.toolchain).lines)
        for source, md5 in folders(planned):
            place = store.digests.place_of(md5)  # None: restored without it, so not fetched
            if place and not isinstance(source, StageOutput) and not listings.has(md5):
                listings.keep_folder(md5, store.digests.listing(place))


def folders(planned: Planned) -> Iterator[tuple[Source, str]]:
    """The folders among a stage's inputs, with their digests."""
    for item in planned.inputs:
        digests = input_digests(planned.parts["inputs"].get(item.role), item)
        for source, md5 in zip(item.sources, digests, strict=False):
            if md5.endswith(".dir"):
                yield source, md5


def input_digests(part: Json, item: Input) -> list[str]:
    """The digests of one role, as the key has them."""
    return [str(md5) for _, md5 in part] if item.many else [str(part)]


class Meanings:
    """Looks up what digests stand for: on disk now, noted earlier, in the cache, in the ledger."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        store: Store,
        kinds: Registry,
        toolchains: Toolchains,
    ) -> None:
        self._pipeline, self._store = pipeline, store
        self._kinds, self._toolchains = kinds, toolchains
        self._folders: dict[str, Mapping[str, str]] = {}
        self._code: dict[str, Mapping[str, str]] = {}
        self._packages: dict[str, Mapping[str, str]] = {}
        self._now: dict[str, int] = {}

    def look_at(self, planned: Planned) -> None:
        """Learns what the digests of a stage's key as it is now stand for."""
        stage, parts = planned.stage, planned.parts
        if stage.kind and "code" in parts:
            self._code[parts["code"]] = code_listing(self._kinds, stage.kind)
        if stage.toolchain and "toolchain" in parts:
            lines = self._toolchains.lock(stage.toolchain).lines
            self._packages[parts["toolchain"]] = packages_of(lines)
        for item in planned.inputs if "inputs" in parts else ():
            digests = input_digests(parts["inputs"].get(item.role), item)
            for source, md5 in zip(item.sources, digests, strict=False):
                path = self._path(source)
                found = self._store.digests.of(path) if path else None
                if path and found and found.md5 == md5:
                    self._now[md5] = found.size
                    if md5.endswith(".dir"):
                        self._folders[md5] = self._store.digests.listing(path)

    def folder(self, md5: str) -> Mapping[str, str] | None:
        """The files of a folder: relative path -> MD5."""
        known = self._folders.get(md5) or self._store.listings.folder(md5)
        return known or self._store.cache.listing(md5)

    def code(self, digest: str) -> Mapping[str, str] | None:
        """The files of a kind's code: name -> MD5."""
        return self._code.get(digest) or self._store.listings.code(digest)

    def packages(self, digest: str) -> Mapping[str, str] | None:
        """What a toolchain consists of: name -> version."""
        return self._packages.get(digest) or self._store.listings.packages(digest)

    def size(self, md5: str) -> int | None:
        """The bytes of a file or folder."""
        if md5 in self._now:
            return self._now[md5]
        with contextlib.suppress(OSError):
            if not md5.endswith(".dir"):
                return self._store.cache.path(md5).stat().st_size
        return self._sizes.get(md5)

    def last_use(self, key: str) -> tuple[str, float] | None:
        """Which stage had a key last, and when."""
        return self._store.runs.last_use(key)

    def recorded(self, stage: Stage) -> StageRecord | None:
        """The last record of a stage."""
        return self._store.recorded(stage)

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        if self._store.ledger is None:
            return {}
        blocks = self._store.ledger.lock().blocks.values()
        return {md5: int(size) for block in blocks for md5, size in _SIZE.findall(block)}

    def _path(self, source: Source) -> Path | None:
        """Where a source lies; None for data that lies elsewhere and may not be here yet."""
        root = self._pipeline.root
        if isinstance(source, PathRef):
            return root / source.path
        if isinstance(source, DatasetRef):
            dataset = self._pipeline.datasets[source.name]
            return root / dataset.location if dataset.scheme == "path" else None
        for stage in self._pipeline.stages:
            if stage.name == source.stage:
                return root / stage.output(source.output).path
        return None
