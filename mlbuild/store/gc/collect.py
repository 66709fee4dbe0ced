"""`mlbuild gc`, from what the caches hold to what is deleted from them.

``look`` reads and decides, ``sweep`` (deletion.py) deletes. Between them stands a user, or nobody:
what is deleted is what both a first and a second look, under the locks, found needless.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.errors import UsageError
from mlbuild.store.files import explained, write_atomic
from mlbuild.store.gc import git, outputs, roots
from mlbuild.store.gc.inventory import look_through
from mlbuild.store.gc.leftovers import Leftover, leftovers
from mlbuild.store.gc.survey import Policy, Survey, survey
from mlbuild.store.gitignore import git_top
from mlbuild.store.init import cache_settings, dvc_config, dvc_folder
from mlbuild.store.lock import OnWait, alone, dvc_lock


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asked for."""

    keep_days: float = 30.0
    grace_hours: float = 2.0
    all_commits: bool = False
    projects: Sequence[Path] = ()  # others that use the same cache
    shared: bool = False  # nobody else uses a cache that lies outside
    chosen: frozenset[str] = frozenset()  # options of leftovers: "--kept", "--outputs", ...

    def policy(self) -> Policy:
        """With the time that it is now."""
        return Policy(self.keep_days, self.grace_hours, time.time())


@dataclass(slots=True)
class Findings:
    """What one look found."""

    caches: list[Survey] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)  # to delete
    optional: list[Leftover] = field(default_factory=list)  # only with their options
    notes: list[str] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)  # whose builds must not run meanwhile

    @property
    def size(self) -> int:
        """Bytes that may go."""
        return sum(c.freed_size for c in self.caches) + sum(x.size for x in self.leftovers)

    @property
    def anything(self) -> bool:
        """Whether there is something to delete."""
        some = any(c.entries or c.objects or c.half_written for c in self.caches)
        return some or bool(self.leftovers)


def look(
    root: Path, request: Request, declared: frozenset[str] | None, more: Sequence[Leftover] = ()
) -> Findings:
    """Finds out what is needed, by whom, and what may go.

    Args:
        root: the project.
        request: what was asked for.
        declared: the outputs of all pipelines, relative to the root; None: not all are known.
        more: leftovers that others have found: toolchains, datasets.

    Raises:
        UsageError: the cache may be others' too, and nobody said who they are.
        DataError: what somebody needs cannot be told.
    """
    policy, found = request.policy(), Findings()
    folders = _caches(root, request)
    if not folders and not (root / ".mlbuild").is_dir():
        raise UsageError(
            f"there is nothing of mlbuild's or DVC's in {root}",
            hint="call it in a project that `mlbuild run` has built",
        )
    with contextlib.suppress(IndexError):
        found.roots = [root, *roots.others(root, request.projects, folders[0])]
    needs: list[roots.Need] = []
    for project in list(found.roots):
        held = roots.gather(project, request.all_commits, other=project != root)
        needs += held.needs
        found.notes += held.notes
        for folder in folders[:1]:
            found.roots += [r for r in roots.users_of(folder, held.roots) if r not in found.roots]
    found.caches = [survey(look_through(folder), needs, policy) for folder in folders]
    found.notes += [
        f"{cache.cache.path(md5)}: damaged, so that what this folder needs cannot be told"
        for cache in found.caches
        for md5 in sorted(cache.cache.damaged)
    ]
    everything = [*leftovers(root, policy), *more]
    if declared is None:
        found.notes.append("not every pipeline can be read: old outputs in build/ stay")
    else:
        entries = [entry for cache in found.caches for entry in cache.cache.entries]
        orphans, foreign = outputs.orphans(root, declared, outputs.recorded(root, entries))
        everything += orphans
        found.notes += [f"{path}: of no stage, but changed by hand: it stays" for path in foreign]
    for item in everything:
        wanted = not item.option or item.option in request.chosen
        (found.leftovers if wanted else found.optional).append(item)
    return found


@contextlib.contextmanager
def undisturbed(found: Findings, on_wait: OnWait | None = None) -> Iterator[None]:
    """Keeps out every build, and every DVC command, that shares what was looked at."""
    with contextlib.ExitStack() as stack:
        for root in sorted(found.roots):
            state = root / ".mlbuild"
            with explained("making the state folder", state):
                if not (state / ".gitignore").exists():
                    write_atomic(state / ".gitignore", b"*\n", sync=False)
            stack.enter_context(alone(state / "locks", on_wait))
        for folder in sorted({f for root in found.roots if (f := dvc_folder(root))}):
            stack.enter_context(dvc_lock(folder.parent, on_wait))
        yield


def _caches(root: Path, request: Request) -> list[Path]:
    """The folders to look through: DVC's first, then that of pipelines with ``ledger: none``."""
    own, found = dvc_folder(root), []
    if own is not None:
        folder = cache_settings(root)[0].resolve()
        _refuse_others(root, own, folder, request)
        found.append(folder)
    if (root / ".mlbuild" / "cache").is_dir():
        found.append((root / ".mlbuild" / "cache").resolve())
    if own is None and request.projects:
        raise UsageError(f"{root} has no .dvc folder: it shares no cache with other projects")
    return found


def _refuse_others(root: Path, own: Path, folder: Path, request: Request) -> None:
    """A cache that others use must not lose what they need."""
    if request.shared or request.projects:
        return
    hint = "name them all: mlbuild gc --projects ../other; if there is none: mlbuild gc --shared"
    if dvc_config(root).get("cache", {}).get("shared") == "group":
        raise UsageError(
            f"the cache {folder} is set up for a group (cache.shared): other projects may keep "
            "results in it",
            hint=hint,
        )
    top = git_top(root)
    # A worktree may use the cache of another one: all of them are looked at.
    tops = [tree.path for tree in git.worktrees(top)] if top else [own.parent]
    if not any(folder.is_relative_to(inner.resolve()) for inner in tops):
        raise UsageError(
            f"the cache {folder} lies outside {top or own.parent}: other projects may keep results "
            "in it",
            hint=hint,
        )
