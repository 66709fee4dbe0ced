"""The same call again: its arguments were understood before, so no parser is imported for them."""

from __future__ import annotations

import os
import sys
from typing import Any

from mlbuild import __version__
from mlbuild.__main__ import record_name

FOLDER = ".mlbuild/calls"


def run(argv: list[str]) -> int | None:
    """Runs a remembered call and returns its exit code; None: it is not known."""
    found = _recall(argv)
    if found is None:
        return None
    # Lazy: the engine, which `mlbuild run --help` has no use for.
    from mlbuild.cli.ending import ended
    from mlbuild.cli.running import Call
    from mlbuild.cli.running import run as go

    if len(found) != len(Call._fields):
        return None  # kept by another state of the same version
    return ended(lambda: go(Call(*found)))


def _recall(argv: list[str]) -> tuple[Any, ...] | None:
    folder, where = os.getcwd(), "."  # noqa: PTH109 - as the no-op path does
    tty = sys.stdout is not None and sys.stdout.isatty()
    while True:
        file = f"{folder}/{FOLDER}/{record_name(argv, where, tty)}"
        if os.path.exists(file):  # noqa: PTH110
            return _read(file, argv)
        parent, _, name = folder.rpartition("/")
        if not name:
            return None
        folder, where = parent, name if where == "." else f"{name}/{where}"


def _read(file: str, argv: list[str]) -> tuple[Any, ...] | None:
    from pathlib import Path  # lazy: most calls end before

    from mlbuild.store import knowledge

    found = knowledge.recall(Path(file))
    if found is None or found[:2] != (__version__, tuple(argv)):
        return None
    return found[2:]
