"""One dataset, wherever it comes from, as a path on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.datasets import cached, path
from mlbuild.datasets.cached import Entry, Facts
from mlbuild.datasets.options import expected, file_name, origin
from mlbuild.datasets.order import Order
from mlbuild.records import Dataset, Json, Progress


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the data lies, and what to write down so that it stays the same."""

    path: Path  # a file or a folder; in the cache its files are read-only
    frozen: dict[str, Json]  # empty for a path; else with "of": what it is about


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
    about = origin(dataset)
    if dataset.scheme == "path":
        return Fetched(path.resolve(dataset, root), {})
    known: Facts = dict(frozen) if frozen and frozen.get("of") == about else {}
    if dataset.scheme == "git":
        from mlbuild.datasets import git  # lazy, as below

        known["commit"] = git.commit(dataset, root, known, offline=offline)
    if dataset.scheme == "hf":
        from mlbuild.datasets import hub  # lazy, as below

        known["commit"] = hub.commit(dataset, known, offline=offline)
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
    if dataset.scheme == "url" and expected(dataset):
        about = {**about, "location": file_name(dataset)}  # a mirror is the same data
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
    # Lazy: clients of HTTP, archives and indexes are wanted only when something is fetched.
    from mlbuild.datasets import git, hub, pypi, url

    fetchers = {"pypi": pypi.make, "url": url.make, "git": git.make, "hf": hub.make}
    with cached.downloads(entry) as folder:
        fetcher = fetchers[dataset.scheme]
        return fetcher(Order(dataset, root, content, folder, known, offline, progress))
