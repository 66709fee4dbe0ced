"""Moves a stage's results into place: all of them or none, whatever happens meanwhile.

A journal beside the scratch says what is being exchanged. While it stands, the old state is the
valid one and ``recover`` brings it back; once it is gone, the new one is. It does not lie in
``.mlbuild/``, which may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mlbuild.records import Output, Stage
from mlbuild.store.files import checkpoint, explained, remove, write_atomic

_JOURNAL = "journal"
_FOREIGN = ".mlbuild-work"  # scratch beside a destination on another filesystem


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where one attempt at a stage writes. The paths are a fixed function of the stage."""

    stage: Stage
    work: Path
    outputs: Mapping[str, Path]  # by name; parents exist, the paths themselves do not
    tmp: Path
    metrics: Path
    plots: Path
    in_place: tuple[str, ...] = ()  # outputs that the command leaves at their declared path


class Move(NamedTuple):
    """One exchange: what lies at ``dest`` goes to ``aside``, ``new`` takes its place."""

    new: str
    dest: str
    aside: str
    existed: bool


@lru_cache(maxsize=1 << 14)
def slug(name: str) -> str:
    """A stage's name as a folder's name; different names never share one."""
    plain = re.sub(r"[^A-Za-z0-9._=-]", "-", name)
    if plain == name and name not in (".", ".."):
        return plain
    return f"{plain}-{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:6]}"


class Publisher:
    """Scratch folders and journals of one pipeline."""

    def __init__(self, root: Path, pipeline: str, state_dir: Path) -> None:
        self._root = root
        self._work = root / "build" / pipeline / ".work"
        self._pipeline = pipeline
        self._kept = state_dir / "kept"
        self._devices: dict[str, int] = {}
        self._hidden = False
        self._spare: list[Path] = []  # empty scratch folders of stages that are done

    def prepare(self, stage: Stage, in_place: Sequence[str] = ()) -> Scratch:
        """Empties and makes the scratch of a stage.

        Args:
            stage: what will run.
            in_place: outputs that its command leaves at their declared paths. What lies there is
                moved aside now; ``collect`` or ``discard`` must follow.
        """
        work = self._work / slug(stage.name)
        with explained("preparing the stage", work):
            self._make(work)
            if stage.kind is not None:
                (work / "tmp").mkdir()  # only workers are told of it
            flat = _may_share_a_folder([Path(o.path).name for o in stage.outputs])
            outputs = {o.name: self._place(work, stage, o, flat) for o in stage.outputs}
            scratch = Scratch(
                stage,
                work,
                outputs,
                work / "tmp",
                outputs.get("metrics", work / "metrics.json"),
                outputs.get("plots", work / "plots"),
                tuple(in_place),
            )
            if in_place:
                moves = self._moves(scratch, in_place)
                self._write_journal(work, moves)
                for move in moves:
                    self._aside(move)
                    Path(move.dest).parent.mkdir(parents=True, exist_ok=True)
        return scratch

    def collect(self, scratch: Scratch) -> None:
        """Moves what a command left at its declared paths into the scratch, and the old back."""
        if not scratch.in_place:
            return
        with explained("collecting the results", scratch.work):
            for name in scratch.in_place:
                dest = self._root / scratch.stage.output(name).path
                if os.path.lexists(dest):
                    move_path(dest, scratch.outputs[name])
                checkpoint("collect")
            self._roll_back(scratch.work)

    def discard(self, scratch: Scratch) -> None:
        """The stage failed: what was there before is there again, the scratch is gone."""
        with explained("putting the old results back", scratch.work):
            self._roll_back(scratch.work)
            self._clean(scratch)

    def publish(self, scratch: Scratch, names: Sequence[str], keep: Sequence[str]) -> list[Path]:
        """Exchanges the named outputs for what lies in the scratch.

        Args:
            scratch: where the new ones lie.
            names: which outputs; the others stay as they are.
            keep: those whose old content the user may have made: it is kept, not dropped.

        Returns:
            Where the kept ones lie now.
        """
        with explained("publishing", scratch.work):
            moves = [
                move._replace(aside=str(self._keeping(move.dest))) if name in keep else move
                for name, move in zip(names, self._moves(scratch, names), strict=True)
            ]
            checkpoint("publish:start")
            journalled = len(moves) > 1 or any(m.existed for m in moves)
            if journalled:
                self._write_journal(scratch.work, moves)
            checkpoint("publish:journal")
            try:
                self._exchange(moves)
            except OSError:
                self._roll_back(scratch.work)
                raise
            if journalled:
                self._drop_journal(scratch.work)
            checkpoint("publish:done")
            self._clean(scratch)
            kept = zip(names, moves, strict=True)
            return [Path(move.aside) for name, move in kept if name in keep and move.existed]

    def recover(self) -> list[str]:
        """Rolls open journals back. Returns the folders of the stages that were hit."""
        if not self._work.is_dir():
            return []
        hit = []
        for work in sorted(self._work.iterdir()):
            if (work / _JOURNAL).exists():
                with explained("rolling an interrupted publication back", work):
                    try:
                        self._roll_back(work)
                        remove(work)
                    except _SpoiledJournalError:  # what was put aside there may be the only copy
                        move_path(work, self._keeping(str(work)))
                    hit.append(work.name)
            elif work.is_dir():
                remove(work)  # scratch of a stage that was killed
        return hit

    def close(self) -> None:
        """Removes the folders that were kept for stages to come."""
        while self._spare:
            with contextlib.suppress(OSError):
                self._spare.pop().rmdir()

    def _keeping(self, dest: str) -> Path:
        """A free place for something that a user may have made."""
        name, stamp = Path(dest).name, time.strftime("%Y%m%d-%H%M%S")
        self._kept.mkdir(parents=True, exist_ok=True)
        to, serial = self._kept / f"{stamp}-{name}", 1
        while os.path.lexists(to):
            serial += 1
            to = self._kept / f"{stamp}-{serial}-{name}"
        return to

    def _make(self, work: Path) -> None:
        """An empty folder: mostly that of an earlier stage, under a new name.

        To make and remove one for each stage is what a small one would pay most for: ext4 looks
        through all inodes that were freed a short while ago for each that it gives out.
        """
        if not self._renamed(work):
            try:
                os.mkdir(work)  # noqa: PTH102 - hot
            except OSError:
                self._hidden = False
                remove(work)
                work.mkdir(parents=True)
        if not self._hidden:
            ignore = self._work / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            self._hidden = True

    def _renamed(self, work: Path) -> bool:
        if not self._spare:
            return False
        spare = self._spare.pop()
        if spare == work and os.path.isdir(work) and not os.listdir(work):  # noqa: PTH112, PTH208
            return True
        try:
            os.rename(spare, work)  # noqa: PTH104
            if not os.listdir(work):  # noqa: PTH208 - a process that got away may write there
                os.utime(work)  # whoever asks since when it stands
                return True
        except OSError:  # something lies there, or somebody was quicker
            with contextlib.suppress(OSError):
                spare.rmdir()
        return False

    def _place(self, work: Path, stage: Stage, out: Output, flat: bool) -> Path:
        """Where the new output is written: on the filesystem that it will be renamed on."""
        dest = self._root / out.path
        if self._device(dest.parent) == self._device(self._work):
            if flat:  # making and removing folders is what small stages would pay most for
                return work / dest.name
            place = work / f"{slug(out.name)}.out" / dest.name
        else:
            beside = _existing(dest.parent) / _FOREIGN / f"{self._pipeline}-{slug(stage.name)}"
            remove(beside / slug(out.name))
            place = beside / slug(out.name) / dest.name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _device(self, folder: Path) -> int:
        key = str(folder)
        if key not in self._devices:
            self._devices[key] = _existing(folder).stat().st_dev
        return self._devices[key]

    def _moves(self, scratch: Scratch, names: Sequence[str]) -> list[Move]:
        moves = []
        work = str(scratch.work)
        for name in names:
            new = str(scratch.outputs[name])
            dest = str(self._root / scratch.stage.output(name).path)
            own = os.path.dirname(new)  # noqa: PTH120
            own = own if own == work else os.path.dirname(own)  # noqa: PTH120
            moves.append(Move(new, dest, f"{own}/.old-{slug(name)}", os.path.lexists(dest)))
        return moves

    def _write_journal(self, work: Path, moves: Sequence[Move]) -> None:
        rows = [[os.path.relpath(p, work) for p in m[:3]] + [m.existed] for m in moves]
        write_atomic(work / _JOURNAL, json.dumps({"version": 1, "moves": rows}).encode())
        sync_folder(work)

    def _drop_journal(self, work: Path) -> None:
        journal = work / _JOURNAL
        if journal.exists():
            journal.unlink()
            sync_folder(work)

    def _exchange(self, moves: Sequence[Move]) -> None:
        for move in moves:
            self._aside(move)
            checkpoint("publish:aside")
            new, dest = Path(move.new), Path(move.dest)
            try:
                move_path(new, dest)
            except (FileNotFoundError, NotADirectoryError):  # the first output in its folder
                dest.parent.mkdir(parents=True, exist_ok=True)
                move_path(new, dest)
            checkpoint("publish:moved")

    def _aside(self, move: Move) -> None:
        if move.existed:
            Path(move.aside).parent.mkdir(parents=True, exist_ok=True)
            move_path(Path(move.dest), Path(move.aside))

    def _roll_back(self, work: Path) -> None:
        for new, dest, aside, existed in reversed(_read_journal(work)):
            if existed and not os.path.lexists(aside):
                continue  # it had not been moved yet
            if os.path.lexists(dest):
                if not os.path.lexists(new):
                    Path(new).parent.mkdir(parents=True, exist_ok=True)
                    move_path(dest, new)
                elif existed:  # ours has not been moved: this is somebody else's
                    move_path(dest, self._keeping(str(dest)))
            if existed:
                move_path(aside, dest)
        checkpoint("rolled back")
        self._drop_journal(work)

    def _clean(self, scratch: Scratch) -> None:
        try:
            if os.listdir(scratch.work):  # noqa: PTH208 - mostly there is nothing left in it
                remove(scratch.work)
            else:
                self._spare.append(scratch.work)
        except OSError:
            remove(scratch.work)
        for new in scratch.outputs.values():
            if _FOREIGN in new.parts:
                remove(new.parent.parent)
                with contextlib.suppress(OSError):
                    new.parent.parent.parent.rmdir()


class _SpoiledJournalError(ValueError):
    """A journal that nobody can read: not written by us, or by a failing disk."""


def _read_journal(work: Path) -> list[tuple[Path, Path, Path, bool]]:
    """The exchanges that were begun: new, destination, aside, whether there was an old one."""
    try:
        rows = json.loads((work / _JOURNAL).read_bytes())["moves"]
        places = [[Path(os.path.normpath(work / p)) for p in row[:3]] for row in rows]
        return [
            (new, to, aside, row[3]) for (new, to, aside), row in zip(places, rows, strict=True)
        ]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise _SpoiledJournalError(work) from error


def move_path(source: Path, to: Path) -> None:
    """Renames; copies and renames where the two lie on different filesystems."""
    try:
        source.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = to.with_name(f".{to.name[:60]}.{os.getpid()}.part")
        remove(temporary)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, temporary, symlinks=True)
        else:
            shutil.copy2(source, temporary, follow_symlinks=False)
        temporary.rename(to)
        remove(source)


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in a folder survive a power cut."""
    with contextlib.suppress(OSError):  # not every filesystem can
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _may_share_a_folder(names: Sequence[str]) -> bool:
    taken = {*names, "tmp", _JOURNAL, "metrics.json", "plots"}
    reserved = sum(name in ("metrics.json", "plots") for name in names)
    return len(taken) == len(names) + 4 - reserved and not any(n.startswith(".") for n in names)


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
