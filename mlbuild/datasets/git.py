"""Datasets in a git repository: ``git: URL`` with ``rev`` and ``path``.

Blobs are read as they are: no checkout, so no hooks, filters, line endings or attributes of the
repository come into play, and no submodules.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlbuild.datasets.cached import Facts
from mlbuild.datasets.order import Order
from mlbuild.datasets.revision import known_commit
from mlbuild.errors import DataError, Problem
from mlbuild.records import Dataset
from mlbuild.toolchains.addresses import redact_address

_POINTER = b"version https://git-lfs.github.com/spec/"
# Of the caller's variables, these would make git work on somebody else's repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "LC_ALL": "C",
}
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")


@dataclass(frozen=True, slots=True)
class _Blob:
    mode: str
    object: str
    path: str  # relative to what was asked for


def commit(dataset: Dataset, root: Path, frozen: Facts, *, offline: bool) -> str:
    """The commit that the dataset's revision means now, or meant when it was frozen."""
    rev = str(dataset.options["rev"])
    forbidden = offline and not _is_local(dataset.location)
    known = known_commit(dataset, frozen, forbidden=forbidden, shown=_shown(dataset))
    if known is not None:
        return known
    listed = _git(dataset, root, "ls-remote", "--", _address(dataset, root)).decode()
    rows = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line]
    refs = {name: digest for digest, name in rows}
    for name in (f"refs/tags/{rev}^{{}}", f"refs/tags/{rev}", f"refs/heads/{rev}", rev):
        if name in refs:
            return refs[name]
    if re.fullmatch(r"[0-9a-f]{7,63}", rev):
        what = f"dataset '{dataset.name}': a commit is given with all its digits"
        raise DataError(Problem(what, dataset.place, got=rev))
    names = {n.removeprefix("refs/heads/").removeprefix("refs/tags/") for n in refs}
    shown = sorted(n for n in names if not n.startswith("refs/") and not n.endswith("^{}"))[:20]
    what = f"dataset '{dataset.name}': {_shown(dataset)} has no revision '{rev}'"
    raise DataError(Problem(what, dataset.place, allowed=tuple(shown)))


def make(order: Order) -> Facts:
    """Fetches one commit and writes the files of ``path``."""
    dataset, root, wanted = order.dataset, order.root, str(order.frozen["commit"])
    if order.offline and not _is_local(dataset.location):
        raise order.forbidden(f"git {_shown(dataset)} at {dataset.options['rev']}")
    repository = order.downloads / "repository.git"
    order.progress(0.0, None, f"{order.label}: fetching {_shown(dataset)} at {wanted[:12]}")
    _git(dataset, root, "init", "--quiet", "--bare", "--template=", str(repository))
    _fetch(dataset, root, repository, wanted)
    clean = posixpath.normpath(str(dataset.options.get("path") or "."))
    path = "" if clean == "." else clean
    blobs, single = _tree(dataset, root, repository, wanted, path)
    for number, (blob, data) in enumerate(_read(dataset, root, repository, blobs), 1):
        _check_blob(order.label, blob, data)
        file = order.content / blob.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o755 if blob.mode == "100755" else 0o644)
        order.progress(float(number), float(len(blobs)), f"{order.label}: unpacking")
    return {"commit": wanted, "rev": dataset.options["rev"]} | (
        {"single": single} if single else {}
    )


def _fetch(dataset: Dataset, root: Path, repository: Path, wanted: str) -> None:
    """One commit alone where the server gives it, else everything that leads to it."""
    address, rev = _address(dataset, root), str(dataset.options["rev"])
    base = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
    has = ("cat-file", "-e", f"{wanted}^{{commit}}")
    trouble: DataError | None = None
    everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    for depth, refs in (("--depth=1", (wanted,)), ("--depth=1", (rev,)), ("", everything)):
        options = [*base, depth] if depth else [*base]
        try:
            _git(dataset, root, *options, "--", address, *refs, repository=repository)
            _git(dataset, root, *has, repository=repository)
        except DataError as error:
            trouble = error
            continue
        return
    what = f"dataset '{dataset.name}': {_shown(dataset)} does not give commit {wanted}"
    got = trouble.problems[0].got if trouble else None
    hint = "is it still on a branch or a tag, and may you read the repository?"
    raise DataError(Problem(what, dataset.place, got=got, hint=hint)) from trouble


def _tree(
    dataset: Dataset, root: Path, repository: Path, wanted: str, path: str
) -> tuple[list[_Blob], str | None]:
    """The files at ``path``, and the name where it is one file."""
    ask = ("ls-tree", "-r", "-z", wanted, "--", *([f":(literal){path}"] if path else []))
    blobs: list[_Blob] = []
    for line in _git(dataset, root, *ask, repository=repository).split(b"\0"):
        if not line:
            continue
        head, _, name = line.partition(b"\t")
        mode, kind, digest = head.decode("ascii").split()[:3]
        if kind == "blob":  # a submodule is a commit: left out
            blobs.append(_Blob(mode, digest, os.fsdecode(name)))
    if not blobs:
        what = f"dataset '{dataset.name}': {_shown(dataset)} has no '{path}' at {wanted[:12]}"
        top = _git(dataset, root, "ls-tree", "--name-only", wanted, repository=repository)
        allowed = tuple(sorted(top.decode("utf-8", "replace").splitlines()))[:20]
        raise DataError(Problem(what, dataset.place, allowed=allowed))
    if path and [b.path for b in blobs] == [path]:
        file = path.rpartition("/")[2]
        return [_Blob(blobs[0].mode, blobs[0].object, file)], file
    prefix = path + "/" if path else ""
    return [_Blob(b.mode, b.object, b.path.removeprefix(prefix)) for b in blobs], None


def _read(
    dataset: Dataset, root: Path, repository: Path, blobs: list[_Blob]
) -> Iterator[tuple[_Blob, bytes]]:
    """The content of each blob, from one process for all of them."""
    argv = _argv("cat-file", "--batch", repository=repository)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), cwd=root
    ) as process:
        asking, answering = process.stdin, process.stdout
        assert asking is not None and answering is not None
        for blob in blobs:
            asking.write(blob.object.encode("ascii") + b"\n")
            asking.flush()
            yield blob, _answer(dataset, answering)
        asking.close()


def _answer(dataset: Dataset, stream: IO[bytes]) -> bytes:
    head = stream.readline().split()
    if len(head) != 3:
        what = f"dataset '{dataset.name}': {_shown(dataset)} lacks an object"
        raise DataError(
            Problem(what, dataset.place, got=b" ".join(head).decode("ascii", "replace"))
        )
    data = stream.read(int(head[2]))
    stream.read(1)  # the line feed after each object
    return data


def _check_blob(label: str, blob: _Blob, data: bytes) -> None:
    if blob.mode == "120000":
        what = f"{label}: the repository holds a link there"
        hint = "name what it points to with `path:`"
        raise DataError(Problem(what, got=f"{blob.path} -> {os.fsdecode(data)}", hint=hint))
    if data.startswith(_POINTER):
        what = f"{label}: {blob.path} is kept in git LFS, only a pointer is in the repository"
        raise DataError(Problem(what, hint="fetch the file itself with `url:` and its sha256"))


def _git(dataset: Dataset, root: Path, *arguments: str, repository: Path | None = None) -> bytes:
    try:
        done = subprocess.run(
            _argv(*arguments, repository=repository),
            env=_environment(),
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except FileNotFoundError as error:
        what = f"dataset '{dataset.name}': git is not installed"
        raise DataError(Problem(what, dataset.place, hint="install git")) from error
    if done.returncode:
        what = f"dataset '{dataset.name}': {_shown(dataset)} could not be read"
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line]
        got = redact_address(" / ".join(lines[-3:])) or f"git ended with {done.returncode}"
        hint = "check the address, and that git reaches it without asking for a password"
        raise DataError(Problem(what, dataset.place, got=got, hint=hint))
    return done.stdout


def _argv(*arguments: str, repository: Path | None) -> list[str]:
    inside = ["--git-dir", str(repository)] if repository is not None else []
    return ["git", *_SAFE, *inside, *arguments]


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    return {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"} | kept | _FIXED


def _is_local(address: str) -> bool:
    return address.startswith("file://") or not re.match(r"[a-z+]+://|[^/]+:", address)


def _address(dataset: Dataset, root: Path) -> str:
    """The address for git; a path is relative to the project root."""
    text = dataset.location
    if _is_local(text) and not text.startswith("file://"):
        return str(root / Path(text).expanduser())
    return text


def _shown(dataset: Dataset) -> str:
    return redact_address(dataset.location)
