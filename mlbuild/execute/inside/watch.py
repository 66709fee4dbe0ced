"""Notes which files of the project a stage opens without having declared them."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .job import Emit

_WRITES = os.O_CREAT | os.O_TRUNC


class Watch:
    """The files of one project that one job may open, and those that it opened besides."""

    def __init__(self, job: Mapping[str, Any], emit: Emit) -> None:
        self.root = os.path.abspath(job["root"])
        self._roots = _both([self.root])
        self._allowed = _both(_allowed(job))
        self._emit = emit
        self._seen: set[str] = set()
        self.undeclared: list[str] = []

    def opened(self, path: str) -> None:
        """Tells once of each file that is the project's and was not declared."""
        if path in self._seen:
            return
        self._seen.add(path)
        absolute = os.path.abspath(path)
        if not _under(absolute, self._roots) or _under(absolute, self._allowed):
            return
        if _under(os.path.realpath(absolute), self._allowed) or not os.path.isfile(absolute):
            return
        root = next(r for r in self._roots if _under(absolute, (r,)))
        relative = os.path.relpath(absolute, root)
        if relative not in self.undeclared:
            self.undeclared.append(relative)
            self._emit({"event": "undeclared", "path": relative})


def _allowed(job: Mapping[str, Any]) -> list[str]:
    """Declared inputs, the stage's own code and places, the interpreter's files."""
    paths = list(job.get("declared") or ())
    for value in job["inputs"].values():
        paths += value if isinstance(value, list) else [value]
    paths += list(job["outputs"].values())
    paths += [job["metrics"], job.get("plots"), job["scratch"], job.get("coreml")]
    paths += [os.path.join(job["root"], ".mlbuild"), os.path.dirname(os.path.abspath(__file__))]
    paths += [os.path.join(job["stages_root"], *job["folder"].split("/"))]
    paths += [os.path.join(job["stages_root"], "_shared")]
    paths += [sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]
    return [p for p in paths if p]


def _both(paths: list[str]) -> tuple[str, ...]:
    """Each path as it is written and as it is after following links."""
    absolute = [os.path.abspath(p) for p in paths]
    return tuple(dict.fromkeys([*absolute, *(os.path.realpath(p) for p in absolute)]))


def _under(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == f or path.startswith(f.rstrip("/") + "/") for f in folders)


_current: Watch | None = None
_hooked = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" or _current is None:
        return
    path, flags = args[0], args[2]
    if isinstance(path, int) or path is None or flags is None:
        return
    if flags & os.O_ACCMODE == os.O_WRONLY or flags & _WRITES:
        return
    name = os.fsdecode(path)
    if not name.endswith((".pyc", ".pyo")):
        _current.opened(name)


@contextmanager
def watching(job: Mapping[str, Any], emit: Emit) -> Iterator[Watch]:
    """Watches what is opened inside the block; a hook cannot be removed, so there is one."""
    global _current, _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    previous, _current = _current, Watch(job, emit)
    try:
        yield _current
    finally:
        _current = previous
