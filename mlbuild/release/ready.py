"""What must be true before a release is made; everything that is not is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.records import DatasetRef, PathRef, ResolvedPipeline
from mlbuild.release import tags
from mlbuild.released import (
    full_name,
    git,
    git_process,
    head_commit,
    refuse_shallow,
)
from mlbuild.store import gitignore
from mlbuild.store.pins import SUFFIX

_SHOWN = 10  # paths of one kind


def require(
    pipeline: ResolvedPipeline,
    folder: Path,
    environ: Mapping[str, str],
    *,
    push: bool,
    dry: bool,
) -> None:
    """Raises a DataError with all that stands in the way of a release.

    Args:
        pipeline: with a `release:` section.
        folder: where release folders go.
        environ: where a signing key is looked up.
        push: whether tags are to be pushed.
        dry: change nothing, not even `.gitignore`.
    """
    root = pipeline.root
    assert pipeline.release is not None
    if head_commit(root) is None:
        raise DataError(Problem(f"{root} has no commit yet", hint="commit what is to be released"))
    refuse_shallow(root)
    problems = [
        *_ledger(pipeline),
        *_unclean(pipeline),
        *_ignored(root, folder, dry=dry),
        *_private_key(pipeline, environ),
        *_identity(root),
        *(_unknown_tags(root, pipeline.release.name) if push else ()),
    ]
    if problems:
        raise DataError(*problems)


def _ledger(pipeline: ResolvedPipeline) -> Iterator[Problem]:
    """Pipeline file and ledger must be in git: they are what a release refers to."""
    root = pipeline.root
    file = pipeline.file.resolve().relative_to(root.resolve())
    pins = file.with_name(f"{file.stem}{SUFFIX}")
    wanted = [file.as_posix(), pins.as_posix(), "dvc.yaml", "dvc.lock"]
    missing = [path for path in wanted if not (root / path).exists()]
    if missing:
        hint = f"mlbuild run {file}, and commit what it wrote"
        yield Problem(f"there is no {', '.join(missing)}: it was not built yet", hint=hint)
    known = set(_paths(git(root, "ls-files", "-z", "--", *wanted)))
    unknown = [path for path in wanted if path not in known and path not in missing]
    if unknown:
        hint = f"git add {' '.join(unknown)}, and commit"
        yield Problem(f"not in git: {', '.join(unknown)}", hint=hint)


def _unclean(pipeline: ResolvedPipeline) -> Iterator[Problem]:
    """What is not as HEAD has it, of all tracked files, and of untracked ones that matter."""
    root = pipeline.root
    rows = _paths(git(root, "status", "--porcelain=v1", "-z", "--no-renames", "-uall", "--", "."))
    # Paths of `status` begin at the top of the repository, whatever folder it is asked in.
    prefix = git(root, "rev-parse", "--show-prefix").strip()
    changed = [row[3:].removeprefix(prefix) for row in rows if not row.startswith("??")]
    new = [row[3:].removeprefix(prefix) for row in rows if row.startswith("??")]
    if changed:
        what = f"changed since the last commit: {_listed(changed)}"
        yield Problem(what, hint="commit it, or put it back (git stash)")
    places = set(_inputs(pipeline))
    matter = [path for path in new if any(path == p or path.startswith(f"{p}/") for p in places)]
    if matter:
        what = f"part of the pipeline, and not in git: {_listed(matter)}"
        yield Problem(what, hint="git add it and commit, or move it away")


def _inputs(pipeline: ResolvedPipeline) -> Iterator[str]:
    """Where files lie that a build of the pipeline reads or records, relative to the root."""
    yield "stages"
    for spec in pipeline.toolchains.values():
        yield _plain(spec.requirements)
    for stage in pipeline.stages:
        yield from (out.path for out in stage.outputs if not out.cache)
        for source in (source for item in stage.inputs for source in item.sources):
            if isinstance(source, PathRef):
                yield _plain(source.path)
            elif isinstance(source, DatasetRef):
                dataset = pipeline.datasets[source.name]
                if dataset.scheme == "path":
                    yield from (_plain(dataset.location), f"{_plain(dataset.location)}.dvc")
    if pipeline.release and (key := pipeline.release.sign.get("public_key")):
        yield _plain(str(key))


def _ignored(root: Path, folder: Path, *, dry: bool) -> Iterator[Problem]:
    """Release folders must not be committed: they would be part of the next release's commit."""
    try:
        inside = folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return
    if inside == ".":
        yield Problem("folders of releases would lie among the project's own", hint="--output DIR")
        return
    if git_process(root, ["check-ignore", "-q", "--", f"{inside}/x"]).returncode == 0:
        return
    if dry:
        hint = f"add /{inside} to .gitignore, and commit it"
        yield Problem(f"git does not ignore {inside}/", hint=hint)
        return
    files = [file.relative_to(root).as_posix() for file in gitignore.ignore(root, [inside])]
    what = f"git did not ignore {inside}/: {_listed(files)} does now"
    yield Problem(what, hint=f"commit it, and release again: git add {' '.join(files)}")


def _private_key(pipeline: ResolvedPipeline, environ: Mapping[str, str]) -> Iterator[Problem]:
    """A key that whoever clones the repository has proves nothing."""
    sign = pipeline.release.sign if pipeline.release else {}
    for text in (str(sign.get("key") or ""), environ.get(str(sign.get("key_env")), "").strip()):
        if not text or "\n" in text or text.startswith("-----BEGIN"):
            continue
        path = os.path.relpath(pipeline.root / text, pipeline.root)
        if not path.startswith("..") and gitignore.tracked(pipeline.root, path):
            hint = "make another pair (mlbuild release --new-key PATH): this one is known to others"
            yield Problem(f"git tracks the private key {path}", hint=hint)


def _identity(root: Path) -> Iterator[Problem]:
    if git_process(root, ["var", "GIT_COMMITTER_IDENT"]).returncode:
        hint = "git config user.name NAME, and user.email ADDRESS"
        yield Problem("git does not know who makes the tag", hint=hint)


def _unknown_tags(root: Path, name: str) -> Iterator[Problem]:
    """Releases that only the remote knows: a version would be given twice."""
    known = set(git(root, "tag", "--list").split())
    full = full_name(root, name)
    there = tags.remote_tags(root, name) or {}
    head = head_commit(root)
    away = [
        tag
        for tag, commit in there.items()
        if tag.startswith(f"{full}@v")  # or withdraws one: v1.2.0!
        # One of HEAD itself is fetched and completed: a release that was cut off after its push.
        if tag not in known and commit != head
    ]
    if away:
        what = f"{tags.REMOTE} has releases that this clone does not know: {_listed(sorted(away))}"
        yield Problem(what, hint=f"git fetch --tags {tags.REMOTE}")


def _paths(text: str) -> list[str]:
    return [part for part in text.split("\0") if part]


def _plain(path: str) -> str:
    return path.removeprefix("./").rstrip("/")


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
