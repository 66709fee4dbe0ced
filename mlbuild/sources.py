"""What resolving a pipeline read besides its file: kinds, and the locks of toolchains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlbuild.facts import code_parts
from mlbuild.lazily import lazily
from mlbuild.records import Json, ResolvedPipeline

if TYPE_CHECKING:
    from mlbuild import registry
    from mlbuild.toolchains import Toolchains
else:
    registry = lazily("mlbuild.registry")


class Sources(NamedTuple):
    """Where a resolved pipeline comes from."""

    paths: tuple[Path, ...]  # files and folders; one that changes may change the pipeline
    code: Mapping[str, dict[str, Json]]  # kind -> the parts of stage keys that come from it
    toolchains: Mapping[str, str]  # name -> digest of its lock
    own_kinds: bool  # kinds of the project are among them, which must be trusted


def sources_of(pipeline: ResolvedPipeline, kinds: registry.Registry, locks: Toolchains) -> Sources:
    """The sources of a pipeline that was read from its YAML."""
    paths = {pipeline.root / "stages": None}
    paths |= {pipeline.root / t.requirements: None for t in pipeline.toolchains.values()}
    code = {}
    for kind in dict.fromkeys(s.kind for s in pipeline.stages if s.kind):
        found = kinds.get(kind)
        code[kind] = code_parts(kinds, kind)
        files = registry.code_files(found)
        paths |= dict.fromkeys([found.folder, *files, *(f.parent for f in files)])
    used = dict.fromkeys(s.toolchain for s in pipeline.stages if s.toolchain)
    own = any(kinds.origin(kind) == "project" for kind in code)
    return Sources(tuple(paths), code, {name: locks.digest(name) for name in used}, own)
