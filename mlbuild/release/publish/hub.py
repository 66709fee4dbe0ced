"""A model hub's repository as a folder: the card as README.md at the top, the files beside it.

Files are exchanged one by one, the manifest last; with ``git`` the release is a commit and a tag,
which others see in one step once it is pushed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePosixPath

from mlbuild.errors import DataError, Problem
from mlbuild.records import Progress
from mlbuild.release.publish.contents import Held, contents
from mlbuild.release.publish.placing import copy, same
from mlbuild.release.publish.protocol import (
    MANIFEST,
    SIGNATURES,
    Bundle,
    PublishError,
    differs,
    explained,
    narrator,
    objection,
)
from mlbuild.released import Version, git, git_process

_STAGED = ".mlbuild-staged"


class HubFolder:
    """The folder of a hub's repository on this machine: one model, its newest version."""

    def __init__(self, shown: str, top: Path, progress: Progress, *, commits: bool) -> None:
        self.name = f"hub {shown}"
        self._top, self._progress, self._commits = top, progress, commits

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way; looks only."""
        with_words = explained(self.name)(self._look)
        return objection(lambda: with_words(release))

    def stage(self, release: Bundle) -> None:
        """Copies what is new into a hidden folder of the repository."""
        with explained(self.name):
            held = contents(release)
            if not self._published(release, held):
                self._stage(held)

    def reveal(self, release: Bundle) -> str:
        """Moves the files into place, removes those of the version before, commits and tags."""
        with explained(self.name):
            held = contents(release)
            if not self._published(release, held):
                self._exchange(held)
            shutil.rmtree(self._top / _STAGED, ignore_errors=True)
            if self._commits:
                self._commit(release, held)
        return str(self._top)

    def _stage(self, held: list[Held]) -> None:
        tell = narrator(self.name, self._progress, sum(h.size for h in held))
        staged = self._top / _STAGED
        staged.mkdir(parents=True, exist_ok=True)
        (staged / ".gitignore").write_text("*\n", encoding="utf-8")
        for one in held:
            if not same(one, self._top / one.path):
                copy(one, staged / "files" / one.path)
            tell(one.size, one.path)

    def _look(self, release: Bundle) -> None:
        held = contents(release) if release.folder.is_dir() else None
        if held is not None:
            self._published(release, held)
        elif self._standing() == (release.name, release.version):
            raise PublishError(f"{self.name}: {release.name} {release.version} is there already")

    # --- what stands there -----------------------------------------------------------------------

    def _standing(self) -> tuple[str, str] | None:
        """Name and version of the release that the folder holds."""
        file = self._top / MANIFEST
        try:
            said = json.loads(file.read_bytes())
            return str(said["name"]), str(said["release"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PublishError(f"{self.name}: its {MANIFEST} is of no release") from error

    def _published(self, release: Bundle, held: list[Held]) -> bool:
        """Whether the folder holds this release, with these very bytes."""
        if self._commits:
            self._check_repository()
            if self._tagged(release, held):
                return True
        standing = self._standing()
        if standing is None:
            return False
        if standing[0] != release.name:
            message = f"{self.name}: the folder belongs to another model"
            raise PublishError(Problem(message, got=standing[0], allowed=(release.name,)))
        if standing[1] != release.version:
            self._refuse_older(standing[1], release)
            return False
        for one in held:
            if one.path not in SIGNATURES and not same(one, self._top / one.path):
                raise differs(self.name, release, one.path, "it is missing there or differs")
        return True

    def _refuse_older(self, standing: str, release: Bundle) -> None:
        now, new = Version.parse(standing), Version.parse(release.version)
        if now and new and new < now:
            message = f"{self.name}: the folder holds a newer version, and can hold only one"
            raise PublishError(Problem(message, got=release.version, allowed=(f"> {standing}",)))

    # --- the exchange ----------------------------------------------------------------------------

    def _exchange(self, held: list[Held]) -> None:
        staged = self._top / _STAGED / "files"
        for one in held:
            if not same(one, self._top / one.path) and not same(one, staged / one.path):
                raise PublishError(f"{self.name}: not staged: {one.path} is missing or differs")
        gone = self._of_before() - {one.path for one in held}
        for path in gone:
            (self._top / path).unlink(missing_ok=True)
        for one in sorted(held, key=lambda h: h.path == MANIFEST):  # the manifest last
            target = self._top / one.path
            if (staged / one.path).exists():
                if target.is_dir():  # a folder of the version before
                    _prune(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / one.path).replace(target)
        _prune(self._top / "artifacts")

    def _of_before(self) -> set[str]:
        """The files of the version that stands there, as its manifest lists them."""
        file = self._top / MANIFEST
        return self._files(file.read_bytes()) if file.exists() else set()

    def _files(self, manifest: bytes) -> set[str]:
        """The files that a manifest lists, and what signs them."""
        try:
            paths = {str(file["path"]) for file in json.loads(manifest)["files"]}
        except (ValueError, KeyError, TypeError) as error:
            raise PublishError(f"{self.name}: its {MANIFEST} is of no release") from error
        strange = [p for p in paths if PurePosixPath(p).is_absolute() or ".." in p.split("/")]
        if strange:
            raise PublishError(f"{self.name}: its {MANIFEST} names files outside: {strange[0]}")
        return paths | SIGNATURES

    # --- git -------------------------------------------------------------------------------------

    def _check_repository(self) -> None:
        """Only a repository of the folder's own: commits of a project are its owner's."""
        hint = "git init there (and git lfs install), or leave 'git' out"
        done = git_process(self._top, ["rev-parse", "--show-toplevel"]) if self._there() else None
        top = done.stdout.decode("utf-8", "surrogateescape").strip() if done else ""
        if not top or Path(top).resolve() != self._top.resolve():
            raise PublishError(f"{self.name}: the folder is no git repository", hint=hint)

    def _there(self) -> bool:
        return self._top.is_dir()

    def _tagged(self, release: Bundle, held: list[Held]) -> bool:
        """Whether the version's tag is there, with this manifest."""
        done = git_process(self._top, ["cat-file", "blob", f"v{release.version}:{MANIFEST}"])
        if done.returncode:
            tag = git_process(self._top, ["rev-parse", "-q", "--verify", self._ref(release)])
            if tag.returncode == 0:
                raise differs(self.name, release, MANIFEST, "its tag holds no manifest")
            return False
        ours = next(h for h in held if h.path == MANIFEST)
        if done.stdout != ours.file.read_bytes():
            raise differs(self.name, release, MANIFEST, "it differs at the tag")
        return True

    def _ref(self, release: Bundle) -> str:
        return f"refs/tags/v{release.version}"

    def _commit(self, release: Bundle, held: list[Held]) -> None:
        try:
            if self._tagged(release, held):
                return
            ours = {one.path for one in held}
            old = git_process(self._top, ["cat-file", "blob", f"HEAD:{MANIFEST}"]).stdout
            tracked = set(git(self._top, "ls-files", "-z").split("\0"))
            gone = (self._files(old) if old else set()) & tracked - ours
            paths = sorted(ours | gone)
            git(self._top, "add", "--all", "--force", "--", *paths)
            staged = git_process(self._top, ["diff", "--cached", "--quiet", "--", *paths])
            if staged.returncode:
                message = f"{release.name} {release.version}"
                git(self._top, "commit", "--quiet", "-m", message, "--", *paths)
            git(self._top, "tag", f"v{release.version}")
        except PublishError:
            raise
        except DataError as error:
            raise PublishError(
                Problem(f"{self.name}: {error.problems[0].message}", got=error.problems[0].got)
            ) from error


def _prune(folder: Path) -> None:
    """Removes folders that hold nothing, the folder itself too."""
    below = [p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink()]
    for one in [*sorted(below, reverse=True), folder]:
        if one.is_dir() and not any(one.iterdir()):
            one.rmdir()
