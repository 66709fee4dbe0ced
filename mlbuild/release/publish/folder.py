"""A folder: `PATH/<name>/v<version>/`, made beside and renamed in one step, and `latest.json`."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mlbuild.records import Progress
from mlbuild.release.publish.contents import Held, contents
from mlbuild.release.publish.latest import LATEST, moves, pointer
from mlbuild.release.publish.placing import clear, copy, differing, sync
from mlbuild.release.publish.protocol import (
    MANIFEST,
    Bundle,
    PublishError,
    differs,
    explained,
    narrator,
    objection,
)
from mlbuild.store.files import write_atomic


class Folder:
    """Releases in a folder that others read: a share, a web server's root."""

    def __init__(self, shown: str, top: Path, progress: Progress) -> None:
        self.name = f"folder {shown}"
        self._top, self._progress = top, progress

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; looks only."""
        with_words = explained(self.name)(self._look)
        return objection(lambda: with_words(release))

    def stage(self, release: Bundle) -> None:
        """Copies into a hidden folder beside the final one."""
        with explained(self.name):
            self._stage(release)

    def reveal(self, release: Bundle) -> str:
        """Renames the staged folder, then moves the pointer on."""
        with explained(self.name):
            return self._reveal(release)

    def _stage(self, release: Bundle) -> None:
        held = contents(release)
        final, staged = self._places(release)
        if self._published(release, held, final):
            return
        with self._alone(release):
            clear(staged, {h.path for h in held})
            tell = narrator(self.name, self._progress, sum(h.size for h in held))
            for one in held:
                copy(one, staged / one.path)
                tell(one.size, one.path)

    def _reveal(self, release: Bundle) -> str:
        held = contents(release)
        final, staged = self._places(release)
        with self._alone(release):
            if not self._published(release, held, final):
                if problem := differing(staged, held, published=False):
                    raise PublishError(f"{self.name}: not staged: {problem[0]}: {problem[1]}")
                staged.rename(final)
                sync(final.parent)
            self._point(release, held)
        return str(final)

    def _places(self, release: Bundle) -> tuple[Path, Path]:
        top = self._top / release.name
        return top / f"v{release.version}", top / f".v{release.version}.staged"

    def _look(self, release: Bundle) -> None:
        final, _ = self._places(release)
        parent = next(p for p in final.parents if p.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise PublishError(f"{self.name}: {parent} cannot be written to")
        if release.folder.is_dir():
            self._published(release, contents(release), final)
        elif final.exists():
            raise PublishError(f"{self.name}: {release.name} {release.version} is there already")

    def _published(self, release: Bundle, held: list[Held], final: Path) -> bool:
        if not final.exists():
            return False
        if problem := differing(final, held, published=True):
            raise differs(self.name, release, *problem)
        return True

    def _point(self, release: Bundle, held: list[Held]) -> None:
        file = self._top / release.name / LATEST
        old = file.read_bytes() if file.exists() else None
        manifest = next(h.sha256 for h in held if h.path == MANIFEST)
        new = pointer(release, manifest)
        if new != old and moves(str(file), release, old):
            write_atomic(file, new)

    @contextlib.contextmanager
    def _alone(self, release: Bundle) -> Iterator[None]:
        """Keeps out who else publishes this model there, on file systems that lock."""
        top = self._top / release.name
        top.mkdir(parents=True, exist_ok=True)
        with (top / ".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublishError(
                    f"{self.name}: somebody else is publishing {release.name} there",
                    hint="run it again when that release has ended",
                ) from error
            yield
