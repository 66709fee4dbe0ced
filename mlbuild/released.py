"""Which releases a git repository knows: tags as GTO writes them, and files as they were then.

A tag is ``dogs@v1.2.0``; where the project is a folder of a larger repository, that folder stands
before the name: ``apps/camera=dogs@v1.2.0``. ``dogs@v1.2.0!`` withdraws the release again.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import total_ordering
from pathlib import Path

from mlbuild.errors import DataError, Problem

_NUMBER = r"0|[1-9]\d*"
_PART = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
# https://semver.org, without the build metadata: it has no rank, so it can name no release.
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?")
_TAG = re.compile(r"(?P<name>[^@#]+)@v(?P<version>[^!#]+)(?P<withdrawn>!?)(?:#\d+)?")
# A hook's variables name another checkout than the one that we ask about; what gives access to
# servers (GIT_SSH_COMMAND, GIT_CONFIG_*, GIT_ASKPASS) stays.
_FOREIGN = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version; ordered as https://semver.org says (section 11)."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()  # ("rc", "1")

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """The version that a text is; None if it is none."""
        found = _VERSION.fullmatch(text)
        if found is None:
            return None
        major, minor, patch, pre = found.groups()
        return cls(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else ())

    def __str__(self) -> str:
        shown = f"{self.major}.{self.minor}.{self.patch}"
        return f"{shown}-{'.'.join(self.pre)}" if self.pre else shown

    def __lt__(self, other: Version) -> bool:
        return self._rank() < other._rank()

    def _rank(self) -> tuple[object, ...]:
        # Without a pre-release it is higher than with any; numbers are lower than words.
        pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, pre)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A release that a git tag names."""

    name: str
    version: str  # "1.2.0"
    tag: str  # "dogs@v1.2.0"
    commit: str  # full hash
    withdrawn: bool = False  # deregistered: it is no base to compare with, its version stays taken

    @property
    def parsed(self) -> Version:
        """The version, to compare it."""
        found = Version.parse(self.version)
        assert found is not None, self.version  # `releases` leaves out what is no version
        return found


def releases(root: Path, name: str) -> list[Tagged]:
    """All releases of that name, the lowest version first; commits may lie on any branch.

    Raises:
        DataError: the project lies in no git repository, or git cannot tell.
    """
    return _tagged(root, name)


def last_release(root: Path, name: str, *, before_head: bool) -> Tagged | None:
    """The highest released version; pre-releases and withdrawn releases do not count.

    Args:
        root: the project.
        name: of the release, "dogs".
        before_head: only releases that HEAD stands on, but not HEAD's own: what a build of HEAD
            can compare itself with, then and ever after.

    Raises:
        DataError: the project lies in no git repository, or in a clone without its history, in
            which a tag may be missing.
    """
    refuse_shallow(root)
    head = head_commit(root)
    if before_head and head is None:
        return None
    merged = ("--merged=HEAD",) if before_head else ()
    found = [t for t in _tagged(root, name, *merged) if not t.parsed.pre and not t.withdrawn]
    if before_head:
        found = [t for t in found if t.commit != head]
    return found[-1] if found else None


def file_at(root: Path, commit: str, path: str) -> bytes | None:
    """A file's bytes as they were at a commit; None where there was no such file.

    Args:
        root: the project.
        commit: full hash, or any name that git knows.
        path: relative to the root, with '/'.

    Raises:
        DataError: the project lies in no git repository, or the commit is not in it.
    """
    done = git_process(root, ["cat-file", "blob", f"{commit}:./{path}"])
    if done.returncode == 0:
        return done.stdout
    git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    return None


def head_commit(root: Path) -> str | None:
    """The commit that is checked out; None before the first one."""
    done = git_process(root, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
    if done.returncode:
        folder_in_repository(root)  # says so where there is no repository at all
        return None
    return done.stdout.decode().strip()


def folder_in_repository(root: Path) -> str:
    """Where the project lies in its repository, with '/'; "" at the top.

    Raises:
        DataError: it lies in no git repository.
    """
    return git(root, "rev-parse", "--show-prefix").strip().rstrip("/")


def full_name(root: Path, name: str) -> str:
    """The name of a release as its tags spell it: with the project's folder, as GTO does."""
    folder = folder_in_repository(root)
    return f"{folder}={name}" if folder else name


def refuse_shallow(root: Path) -> None:
    """Raises a DataError in a clone that lacks history: its tags tell nothing for sure."""
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        what = f"{root} is a shallow clone: which releases there are cannot be told"
        hint = "git fetch --unshallow --tags (in CI: clone with fetch-depth: 0)"
        raise DataError(Problem(what, hint=hint))


def git(root: Path, *arguments: str) -> str:
    """What a git command prints.

    Raises:
        DataError: git is missing, the project lies in no repository, or the command failed.
    """
    done = git_process(root, arguments)
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "surrogateescape")
    told = done.stderr.decode("utf-8", "replace").strip()
    if "not a git repository" in told:
        init = "git init, and commit: a release is a tag on a commit"
        raise DataError(Problem(f"{root} lies in no git repository", hint=init))
    safe = f"git config --global --add safe.directory {root}"
    hint = safe if "dubious ownership" in told else None
    what = f"git {' '.join(arguments[:2])} failed in {root}"
    raise DataError(Problem(what, got=told or f"exit code {done.returncode}", hint=hint))


def git_process(
    root: Path, arguments: Sequence[str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """A finished git command of the project's repository, whatever became of it.

    Raises:
        DataError: git is missing.
    """
    kept = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    fixed = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            ["git", "-C", os.fspath(root), *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env=kept | fixed,
        )
    except FileNotFoundError as error:
        raise DataError(Problem("git is not installed", hint="install git")) from error


def _tagged(root: Path, name: str, *options: str) -> list[Tagged]:
    full = full_name(root, name)
    listed = git(
        root,
        "for-each-ref",
        "--format=%(refname:strip=2)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)",
        *options,
        f"refs/tags/{_literal(full)}@v*",
    )
    rows = [line.split("\0") for line in listed.splitlines()]
    found: dict[str, Tagged] = {}
    withdrawn: set[str] = set()
    for tag, kind, digest, peeled_kind, peeled in rows:
        parts = _TAG.fullmatch(tag)
        if parts is None or parts["name"] != full or Version.parse(parts["version"]) is None:
            continue
        if parts["withdrawn"]:
            withdrawn.add(parts["version"])
        elif kind == "commit":
            found[parts["version"]] = Tagged(name, parts["version"], tag, digest)
        elif peeled_kind == "commit":  # an annotated tag; one on a tree or a blob is no release
            found[parts["version"]] = Tagged(name, parts["version"], tag, peeled)
    marked = [
        Tagged(t.name, t.version, t.tag, t.commit, t.version in withdrawn) for t in found.values()
    ]
    return sorted(marked, key=lambda tagged: tagged.parsed)


def _literal(text: str) -> str:
    return re.sub(r"([\\*?\[])", r"\\\1", text)
