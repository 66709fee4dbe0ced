"""What the commits of a git repository name: refs, stashes, worktrees, through git's plumbing.

One `git cat-file` serves everything, and each tree and each blob is read once however many refs
share it.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from mlbuild.errors import DataError
from mlbuild.store.gc.named import is_ledger, named

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
        raise _unknown(top, said[0] if said else f"git {arguments[0]} ended with an error")
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


class _Object(NamedTuple):
    name: str
    kind: str  # commit, tree, blob, tag; "missing"
    data: bytes


class Blobs:
    """Reads trees and blobs of one repository, each once. Close it, or use it in a ``with``."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._named: dict[str, frozenset[str]] = {}
        self._trees: dict[str, frozenset[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            self._git = subprocess.Popen(
                ["git", "-C", os.fspath(top), "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
            return
        raise _unknown(top, "there is no git program on PATH")

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._git.communicate()

    def of(self, ref: Ref) -> frozenset[str]:
        """The digests that a ref's files of the ledger name; none where it is no commit or tree."""
        found = self._read(f"{ref.commit}^{{}}")
        if ref.kind != "stash":
            return self._of(found, ref.name)
        # A stash is a merge: its own tree, what was staged, and what was not tracked.
        parents = re.findall(r"^parent ([0-9a-f]+)$", found.data.decode("utf-8", "replace"), re.M)
        sides = [self._of(self._read(parent), ref.name) for parent in parents[1:]]
        return self._of(found, ref.name).union(*sides)

    def blob(self, name: str, blob: str) -> frozenset[str]:
        """The digests that one file names."""
        if blob not in self._named:
            found = self._read(blob)
            if found.kind != "blob":
                raise _unknown(self._top, f"{name} ({blob[:10]}) is missing from the repository")
            self._named[blob] = named(name, found.data.decode("utf-8", "replace"))
        return self._named[blob]

    def _of(self, found: _Object, what: str) -> frozenset[str]:
        if found.kind == "commit":
            return self._tree(found.data.split(b"\n", 1)[0].split()[1].decode())
        if found.kind == "tree":
            return self._tree(found.name)
        if found.kind == "blob":
            return frozenset()  # a single file's name, e.g. of a signing key
        raise _unknown(self._top, f"the commit of {what} is missing from the repository")

    def _tree(self, tree: str) -> frozenset[str]:
        if tree not in self._trees:
            listed = self._read(tree)
            if listed.kind != "tree":
                raise _unknown(self._top, f"folder {tree[:10]} is missing from the repository")
            found = [
                self._tree(item) if mode == b"40000" else self.blob(name, item)
                for mode, name, item in _entries(listed.data, len(tree) // 2)
                if mode == b"40000" or (mode.startswith(b"100") and is_ledger(name))
            ]
            self._trees[tree] = frozenset().union(*found)
        return self._trees[tree]

    def _read(self, name: str) -> _Object:
        to, back = _pipes(self._git)
        with contextlib.suppress(BrokenPipeError):  # git gave up: the object cannot be had
            to.write(f"{name}\n".encode())
            to.flush()
            head = back.readline().decode().split()
            if len(head) == 3 and head[2].isdigit():
                data = back.read(int(head[2]))
                back.read(1)
                return _Object(head[0], head[1], data)
        return _Object(name, "missing", b"")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin and process.stdout
    return process.stdin, process.stdout


def _entries(tree: bytes, width: int) -> Iterator[tuple[bytes, str, str]]:
    """(mode, name, object) of a tree as git stores it."""
    place = 0
    while place < len(tree):
        end = tree.index(b"\0", place)
        mode, _, name = tree[place:end].partition(b" ")
        place = end + 1 + width
        yield mode, name.decode("utf-8", "surrogateescape"), tree[end + 1 : place].hex()


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


def _environment() -> dict[str, str]:
    """A hook's variables name one checkout; we ask about several."""
    return {k: v for k, v in os.environ.items() if k not in _OURS} | {"LC_ALL": "C"}


def _run(top: Path, arguments: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-C", os.fspath(top), *arguments]
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, env=_environment()
        )
    except FileNotFoundError as error:
        raise _unknown(top, "there is no git program on PATH") from error


def _unknown(top: Path, why: str) -> DataError:
    return DataError(
        f"it cannot be told what the branches of {top} need: {why}",
        hint="nothing was deleted; put that right first (for a missing commit: git fetch)",
    )
