"""What has a name in a git repository: refs, stashes, worktrees, through git's plumbing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import DataError
from mlbuild.store.gc.named import is_ledger

_OURS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_RELEASE = re.compile(r"[^@#]+(?:@v?\d+\.\d+\.\d+.*|#[^#]+(?:#\d+)?)")  # as gto names them
_UNFINISHED = (  # what a merge, a rebase and their like hold until they end
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/autostash",
    "rebase-apply/autostash",
    "rebase-merge/orig-head",
)


class Ref(NamedTuple):
    """Something in git that needs what its commit's ledger names."""

    kind: str  # branch, remote branch, release, tag, stash, commit, ref
    name: str
    commit: str


class Worktree(NamedTuple):
    """A checkout of the repository."""

    path: Path
    head: str  # "" before the first commit
    there: bool  # False: its folder is not on this disk now


def git(top: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What a git command prints.

    Raises:
        DataError: it failed: what branches need would be a guess.
    """
    done = _run(top, arguments, stdin)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise unknown(top, said[0] if said else f"git {arguments[0]} ended with an error")
    return done.stdout


def worktrees(top: Path) -> list[Worktree]:
    """All checkouts of the repository; the bare one that some hang on is none."""
    found = []
    for block in (
        git(top, "worktree", "list", "--porcelain").decode(errors="surrogateescape").split("\n\n")
    ):
        lines = block.splitlines()
        facts = dict(line.partition(" ")[::2] for line in lines)
        if "worktree" in facts and "bare" not in facts:
            path = Path(facts["worktree"])
            head = facts.get("HEAD", "")
            found.append(Worktree(path, head if head.strip("0") else "", path.is_dir()))
    return found


def refs(top: Path, all_commits: bool = False) -> list[Ref]:
    """Everything that has a name in the repository, and each entry of a stash."""
    found: list[Ref] = []
    for line in git(top, "for-each-ref", "--format=%(objectname) %(refname)").decode().splitlines():
        commit, _, name = line.partition(" ")
        if name == "refs/stash" or (name.startswith("refs/exps/") and name.endswith("stash")):
            found += _stashes(top, name)
        else:
            found.append(_ref(name, commit))
    if all_commits:
        listed = git(top, "rev-list", "--all", "--reflog").decode().split()
        found += [Ref("commit", commit[:10], commit) for commit in listed]
    return found


def unfinished(checkout: Path) -> list[str]:
    """Commits that a merge, a rebase or the like of a checkout holds on to."""
    asked = "".join(f"{name}\n" for name in _UNFINISHED).encode()
    lines = git(checkout, "cat-file", "--batch-check", stdin=asked).decode().splitlines()
    return [line.split()[0] for line in lines if line.endswith(tuple("0123456789"))]


def staged(checkout: Path) -> list[tuple[str, str]]:
    """(name, blob) of each file of the ledger in a checkout's index, all sides of a conflict."""
    patterns = (":(glob)**/dvc.lock", ":(glob)**/*.dvc")
    rows = git(checkout, "ls-files", "-s", "-z", "--", *patterns).decode(errors="surrogateescape")
    found = []
    for row in rows.split("\0"):
        facts, _, path = row.partition("\t")
        name = path.rpartition("/")[2]
        if facts and is_ledger(name) and facts.startswith("100"):
            found.append((name, facts.split()[1]))
    return found


def _ref(name: str, commit: str) -> Ref:
    for start, kind in (("refs/heads/", "branch"), ("refs/remotes/", "remote branch")):
        if name.startswith(start):
            return Ref(kind, name.removeprefix(start), commit)
    if name.startswith("refs/tags/"):
        tag = name.removeprefix("refs/tags/")
        return Ref("release" if _RELEASE.fullmatch(tag) else "tag", tag, commit)
    return Ref("ref", name, commit)


def _stashes(top: Path, ref: str) -> list[Ref]:
    """The entries of a stash lie in its reflog; the ref itself is only the newest one."""
    commits = git(top, "reflog", "show", "--format=%H", ref).decode().split()
    short = ref.removeprefix("refs/")
    return [Ref("stash", f"{short}@{{{n}}}", commit) for n, commit in enumerate(commits)]


def environment() -> dict[str, str]:
    """A hook's variables name one checkout; we ask about several."""
    return {k: v for k, v in os.environ.items() if k not in _OURS} | {"LC_ALL": "C"}


def _run(top: Path, arguments: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-C", os.fspath(top), *arguments]
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, env=environment()
        )
    except FileNotFoundError as error:
        raise unknown(top, "there is no git program on PATH") from error


def unknown(top: Path, why: str) -> DataError:
    """What is raised where a guess would lose results."""
    return DataError(
        f"it cannot be told what the branches of {top} need: {why}",
        hint="nothing was deleted; put that right first (for a missing commit: git fetch)",
    )
