"""What lies in a cache: its objects, its run-cache entries, what killed processes left there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from mlbuild.errors import DataError
from mlbuild.records import Json
from mlbuild.store.files import explained
from mlbuild.store.pins import SUFFIX
from mlbuild.store.yaml12 import load

_PREFIX = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{30}(?:\.dir)?")
_KEY = re.compile(r"[0-9a-f]{64}")


class Object(NamedTuple):
    """One file of the cache, as it was when it was looked at."""

    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int  # `dvc add` may move a file in, which leaves its old mtime

    @property
    def newest(self) -> float:
        """When it came here, or was written: the later one, in seconds."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the run cache: a past result."""

    file: Path
    seen: Object
    outs: dict[str, str]  # path -> digest
    pipeline: str  # "" where DVC itself wrote it
    stage: str
    readable: bool = True

    @property
    def digests(self) -> frozenset[str]:
        """What it needs."""
        return frozenset(self.outs.values())


@dataclass(slots=True)
class Cache:
    """One cache folder, looked through."""

    folder: Path
    objects: dict[str, Object] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    half_written: list[tuple[Path, Object]] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)  # listings that name nothing any more
    _listings: dict[str, frozenset[str]] = field(default_factory=dict)

    def path(self, md5: str) -> Path:
        """Where an object lies."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def expand(self, digests: frozenset[str]) -> set[str]:
        """The objects that stand behind outputs: those themselves and what listings name."""
        found = set(digests)
        for md5 in digests:
            if md5.endswith(".dir"):
                found |= self.listed(md5)
        return found

    def listed(self, md5: str) -> frozenset[str]:
        """What a folder's listing names; nothing where it is not here or damaged."""
        if md5 not in self._listings:
            self._listings[md5] = self._read(md5) if md5 in self.objects else frozenset()
        return self._listings[md5]

    def _read(self, md5: str) -> frozenset[str]:
        try:
            raw = self.path(md5).read_bytes()
        except FileNotFoundError:
            return frozenset()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if hashlib.md5(raw, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir"):
                return frozenset(str(row["md5"]) for row in json.loads(raw))
        self.damaged.add(md5)
        return frozenset()


def look_through(folder: Path) -> Cache:
    """Everything that lies in a cache folder. What is not in a cache's form is left out of it."""
    cache = Cache(folder)
    with explained("looking through the cache", folder):
        for prefix in _folders(folder / "files" / "md5", _PREFIX):
            for item in os.scandir(prefix):
                if _REST.fullmatch(item.name):
                    if item.is_dir(follow_symlinks=False):
                        raise DataError(f"{item.path} is a folder where an object should be")
                    cache.objects[prefix.name + item.name] = _seen(item)
        for temporary in _files(folder / "files" / ".mlbuild"):
            cache.half_written.append((Path(temporary.path), _seen(temporary)))
        for prefix in _folders(folder / "runs", _PREFIX):
            for key in _folders(prefix, _KEY):
                for item in _files(key):
                    _sort(cache, Path(item.path), _seen(item))
    return cache


def _sort(cache: Cache, file: Path, seen: Object) -> None:
    if _KEY.fullmatch(file.name):
        cache.entries.append(_entry(file, seen))
    else:
        cache.half_written.append((file, seen))  # a writer's temporary file


def _entry(file: Path, seen: Object) -> Entry:
    facts = _parsed(file)
    try:
        outs = {str(out["path"]): str(out["md5"]) for out in facts.get("outs", []) if "md5" in out}
    except (AttributeError, KeyError, TypeError):
        return Entry(file, seen, {}, "", "", readable=False)
    return Entry(file, seen, outs, *_owner(facts))


def _parsed(file: Path) -> Json:
    text = file.read_text("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        pass  # DVC's own are YAML
    try:
        return load(text)
    except (yaml.YAMLError, ValueError):
        return None


def _owner(facts: Json) -> tuple[str, str]:
    """The pipeline and the stage that an entry of ours was recorded for."""
    try:
        ((pins, stages),) = facts["params"].items()
        ((_, facts),) = stages.items()
        return f"{pins.removesuffix(SUFFIX)}.yaml", str(facts["stage"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return "", str(facts.get("cmd") or "") if isinstance(facts, dict) else ""


def _folders(top: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    try:
        names = sorted(item.name for item in os.scandir(top) if item.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (top / name for name in names if pattern.fullmatch(name))


def _files(top: Path) -> Iterator[os.DirEntry[str]]:
    try:
        yield from (item for item in os.scandir(top) if item.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return


def _seen(item: os.DirEntry[str]) -> Object:
    found = item.stat(follow_symlinks=False)
    return Object(found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
