"""The same call again: its arguments were understood before, so no parser is imported for them."""

from __future__ import annotations

import os
from typing import Any

from mlbuild import __version__
from mlbuild.__main__ import places

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
    for folder, _, _, name in places(argv):
        file = f"{folder}/{FOLDER}/{name}"
        if os.path.exists(file):  # noqa: PTH110 - pathlib is not imported yet
            return _read(file, argv)
    return None


def _read(file: str, argv: list[str]) -> tuple[Any, ...] | None:
    from pathlib import Path  # lazy: most calls end before

    from mlbuild.store import knowledge

    found = knowledge.recall(Path(file))
    if found is None or found[:2] != (__version__, tuple(argv)):
        return None
    return found[2:]
