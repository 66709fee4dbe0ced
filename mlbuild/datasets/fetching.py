"""One dataset, wherever it comes from, as a path on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.datasets import cached, git, path, pypi, url
from mlbuild.datasets.cached import Entry, Facts
from mlbuild.errors import DataError, PipelineError, Problem, did_you_mean
from mlbuild.records import Dataset, Json, Progress
from mlbuild.toolchains.packageindex import local_path, redact_address

# scheme -> the options that it takes beside the location
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "path": (),
    "pypi": pypi.OPTIONS,
    "url": url.OPTIONS,
    "git": git.OPTIONS,
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the data lies, and what to write down so that it stays the same."""

    path: Path  # a file or a folder; in the cache its files are read-only
    frozen: dict[str, Json]  # empty for a path; else with "of": identity(dataset)


def identity(dataset: Dataset) -> Json:
    """What a frozen record is about: while it is equal, the record still applies.

    Raises:
        PipelineError: the dataset's options are wrong.
    """
    _check(dataset)
    if dataset.scheme == "pypi":
        name, version = pypi.requirement(dataset)
        return {"scheme": "pypi", "location": f"{name}=={version}"}
    facts: dict[str, Json] = {
        "scheme": dataset.scheme,
        "location": redact_address(dataset.location),
    }
    if dataset.scheme == "url":
        facts |= url.expected(dataset)
    if dataset.scheme == "git":
        facts["rev"] = dataset.options["rev"]
    return facts


def fetch(
    dataset: Dataset,
    *,
    root: Path,
    cache: Path,
    offline: bool,
    progress: Progress,
    frozen: Mapping[str, Json] | None = None,
) -> Fetched:
    """The dataset, downloaded into the cache where it is not there yet.

    Args:
        dataset: as the pipeline file gives it.
        root: paths are relative to it.
        cache: the user's cache folder.
        offline: nothing may be fetched over the network.
        progress: told of bytes and files.
        frozen: what the last fetch returned; it holds while ``identity`` is the same.

    Raises:
        MissingPathData: a path that DVC tracks has not been pulled.
        DataError: missing, unreachable, corrupt, or not what was frozen.
        PipelineError: the dataset's options are wrong.
    """
    about = identity(dataset)
    if dataset.scheme == "path":
        return Fetched(path.resolve(dataset, root), {})
    known: Facts = dict(frozen) if frozen and frozen.get("of") == about else {}
    if dataset.scheme == "git":
        known["commit"] = git.commit(dataset, root, known, offline=offline)
    entry = _entry(dataset, cache, about, known)
    facts = cached.obtain(
        entry,
        accept=lambda f: _agrees(dataset, f, known),
        make=lambda content: _make(dataset, content, entry, root, offline, progress, known),
        waiting=lambda who: progress(0, None, f"dataset '{dataset.name}': {who} fetches it"),
    )
    single = facts.get("single")
    where = entry.content / single if single else entry.content
    return Fetched(where, {"of": about} | {k: v for k, v in facts.items() if k != "single"})


def _entry(dataset: Dataset, cache: Path, about: Json, known: Facts) -> Entry:
    """Everything that decides what is in the folder enters its name."""
    shape = {k: dataset.options.get(k) for k in ("files", "extract", "path")}
    if dataset.scheme == "url" and url.expected(dataset):
        about = {**about, "location": url.file_name(dataset)}  # a mirror is the same data
    return cached.entry(cache, dataset.scheme, [about, shape, known.get("commit")])


def _agrees(dataset: Dataset, facts: Facts, known: Facts) -> bool:
    """Whether data in the cache is what was frozen."""
    return all(facts.get(k) == known[k] for k in ("sha256", "commit") if known.get(k))


def _make(
    dataset: Dataset,
    content: Path,
    entry: Entry,
    root: Path,
    offline: bool,
    progress: Progress,
    known: Facts,
) -> Facts:
    with cached.downloads(entry) as folder:
        if dataset.scheme == "pypi":
            return pypi.make(
                dataset, content, folder, frozen=known, offline=offline, progress=progress
            )
        if dataset.scheme == "url":
            if offline and local_path(dataset.location) is None:
                what = f"dataset '{dataset.name}' is not in the cache"
                what += " and --offline forbids to fetch it"
                got = redact_address(dataset.location)
                raise DataError(Problem(what, dataset.place, got=got, hint=_ONCE))
            return url.make(dataset, content, folder, frozen=known, progress=progress)
        return git.make(
            dataset,
            content,
            folder,
            root=root,
            wanted=known["commit"],
            offline=offline,
            progress=progress,
        )


def _check(dataset: Dataset) -> None:
    allowed = OPTIONS.get(dataset.scheme)
    if allowed is None:
        what = f"dataset '{dataset.name}': unknown kind of source '{dataset.scheme}'"
        hint = did_you_mean(dataset.scheme, OPTIONS)
        raise PipelineError(Problem(what, dataset.place, allowed=tuple(OPTIONS), hint=hint))
    for key in dataset.options:
        if key not in allowed:
            what = f"dataset '{dataset.name}': unknown option '{key}' of {dataset.scheme}"
            hint = did_you_mean(key, allowed)
            raise PipelineError(Problem(what, dataset.place, allowed=allowed, hint=hint))
    if dataset.scheme == "url":
        url.check(dataset)
    if dataset.scheme == "git":
        git.check(dataset)


_ONCE = "run once without --offline"
