"""A pipeline file, read: from what was kept of it, or else from its YAML.

What is kept holds only while everything that resolving it read is the same: the text by its bytes,
kinds and locks by their stat data. An edited comment costs a parse and nothing more.
"""

from __future__ import annotations

import hashlib
import marshal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlbuild import __version__, trust
from mlbuild.pipeline import packed
from mlbuild.pipeline.root import project_root
from mlbuild.records import Json, ResolvedPipeline
from mlbuild.sources import Sources
from mlbuild.store import knowledge
from mlbuild.store.digests import Sig, sig_of

_FORMAT = 1
_CLOCK_TICK_NS = 20_000_000  # what file systems' clocks lag behind at most


@dataclass(frozen=True, slots=True)
class Call:
    """Which pipeline was asked for."""

    file: Path
    root: Path
    profiles: tuple[str, ...]
    sets: tuple[str, ...]

    @property
    def place(self) -> Path:
        """Where it is kept."""
        name = marshal.dumps(self.facts, 2)
        folder = self.root / ".mlbuild" / "resolved"
        return folder / hashlib.md5(name, usedforsecurity=False).hexdigest()[:16]

    @property
    def facts(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The same for a checkout that was moved."""
        return (_shown(self.file.absolute(), self.root), self.profiles, self.sets)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline and what is known of how it came to be."""

    call: Call
    resolved: ResolvedPipeline
    began_ns: int
    identity: str | None = None  # equal ones resolve, and make keys, equally; None: not kept
    sources: tuple[Path, ...] = ()  # what was read besides the pipeline file
    code: Mapping[str, dict[str, Json]] = field(default_factory=dict)  # kind -> parts of keys


def load(file: Path, profiles: Sequence[str] = (), sets: Sequence[str] = ()) -> Loaded | None:
    """The pipeline as it was kept; None where there is nothing that still holds."""
    began = time.time_ns()
    call = Call(file, project_root(file), tuple(profiles), tuple(sets))
    found = knowledge.recall(call.place)
    try:
        if found is None or found[:3] != (_FORMAT, __version__, call.facts):
            return None
        _, _, _, text, identity, sources, code, own, row = found
        if own and not trust.is_trusted(call.root):
            return None  # reading it says what to do
        if text != _text_digest(file) or any(_sig(call.root / p) != sig for p, sig in sources):
            return None
        resolved = packed.unpack(row, file, call.root)
    except (ValueError, TypeError, OSError, LookupError):
        return None
    paths = tuple(call.root / path for path, _ in sources)
    return Loaded(call, resolved, began, identity, paths, code)


def read(file: Path, profiles: Sequence[str] = (), sets: Sequence[str] = ()) -> Loaded:
    """The pipeline from its YAML.

    Raises:
        PipelineError: with everything that is wrong in the file, each with its place.
    """
    # Lazy: an unchanged pipeline needs none of it.
    from mlbuild import registry
    from mlbuild.pipeline.load import load as parse
    from mlbuild.pipeline.resolve import resolve
    from mlbuild.toolchains import Toolchains

    began = time.time_ns()
    document = parse(file)
    root = project_root(file)
    resolved = resolve(
        document,
        registry.Registry.load(root, trusted=trust.is_trusted(root)),
        sets=sets,
        profiles=profiles,
        root=root,
        toolchains=Toolchains(root, {}).names(),
    )
    return Loaded(Call(file, root, tuple(profiles), tuple(sets)), resolved, began)


def keep(loaded: Loaded, read: Sources) -> Loaded:
    """Keeps a pipeline that was read from YAML, unless something was edited meanwhile.

    Returns:
        The same with its identity.
    """
    call = loaded.call
    try:
        text = _text_digest(call.file)
    except OSError:
        return loaded
    sigs = [(path, _sig(path)) for path in read.paths]
    for changed in (_sig(call.file), *(sig for _, sig in sigs)):
        if changed and changed[2] >= loaded.began_ns - _CLOCK_TICK_NS:
            return loaded
    row = packed.pack(loaded.resolved)
    facts: Any = (__version__, packed.without_places(row), dict(read.code), dict(read.toolchains))
    identity = hashlib.md5(marshal.dumps(facts, 2), usedforsecurity=False).hexdigest()
    rows = [(_shown(path, call.root), sig) for path, sig in sigs]
    head = (_FORMAT, __version__, call.facts, text, identity)
    knowledge.keep(call.place, (*head, rows, dict(read.code), read.own_kinds, row))
    return Loaded(call, loaded.resolved, loaded.began_ns, identity, read.paths, read.code)


def _text_digest(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def _sig(path: Path) -> Sig | None:
    try:
        return sig_of(path.stat())
    except OSError:
        return None


def _shown(path: Path, root: Path) -> str:
    base = f"{root}/"
    return str(path).removeprefix(base)
