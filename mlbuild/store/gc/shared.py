"""What the user's cache folder holds for all projects: toolchains, downloaded datasets."""

from __future__ import annotations

from pathlib import Path

from mlbuild.datasets import cached
from mlbuild.store.gc.leftovers import Leftover
from mlbuild.store.gc.survey import Policy
from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.footprint import size_of


def unused(root: Path, cache: Path, policy: Policy) -> list[Leftover]:
    """Toolchains and datasets that no project has used for as long as past results are kept.

    All of it can be had again; only its last use is known, not who will want it.
    """
    listed = Toolchains(root, {}, cache).listing()
    found = [
        Leftover("toolchain", made.path, made.size or 0, made.last_use, "--toolchains")
        for made in listed
        if made.last_use and policy.is_idle(made.last_use)
    ]
    found += [
        Leftover("dataset", folder, size_of(folder), last_use, "--datasets")
        for folder, last_use in cached.entries(cache)
        if policy.is_idle(last_use)
    ]
    return found
