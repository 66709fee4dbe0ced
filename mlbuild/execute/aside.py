"""Commands that write to their declared path instead of ``${{ outputs.name }}``.

What lies at such a path is moved into the stage's scratch folder before the command starts, so that
a failure can put it back; what the command left is then taken into scratch like any other output.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from mlbuild.pipeline.command import mentioned_outputs
from mlbuild.records import Output, Stage
from mlbuild.store.project import Scratch

_FOLDER = ".aside"


def set_aside(root: Path, stage: Stage, scratch: Scratch) -> None:
    """Moves the outputs out of the way that the command writes in place."""
    for out in _in_place(stage):
        path = root / out.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() or path.is_symlink():
            kept = _kept(scratch, out)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, kept)


def collect(root: Path, stage: Stage, scratch: Scratch) -> None:
    """Takes what the command left at its declared paths into scratch."""
    for out in _in_place(stage):
        path = root / out.path
        if path.exists():
            scratch.outputs[out.name].parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, scratch.outputs[out.name])
            kept = _kept(scratch, out)
            if kept.exists():  # publishing expects the old output where it was
                shutil.move(kept, path)


def put_back(root: Path, stage: Stage, scratch: Scratch) -> None:
    """After a failure: removes what the command half wrote and restores what was there."""
    for out in _in_place(stage):
        path, kept = root / out.path, _kept(scratch, out)
        if not kept.exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        shutil.move(kept, path)


def _in_place(stage: Stage) -> Iterator[Output]:
    if stage.command is None:
        return
    mentioned = mentioned_outputs(stage.command)
    yield from (out for out in stage.outputs if out.name not in mentioned)


def _kept(scratch: Scratch, out: Output) -> Path:
    return scratch.folder / _FOLDER / out.name
