"""Packages and datasets as package URLs (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from packaging.utils import canonicalize_name

from mlbuild.release.facts import DatasetFacts, ReleaseFacts


def purl(kind: str, name: str, version: str | None) -> str:
    """``pkg:pypi/name@version``; slashes in a name part its namespace."""
    path = "/".join(quote(part, safe="") for part in name.split("/"))
    # A '+' would be read as a space by some.
    return f"pkg:{kind}/{path}" + (f"@{quote(version, safe='')}" if version else "")


def packages(facts: ReleaseFacts) -> Iterator[tuple[str, str, list[str]]]:
    """(name, version, the toolchains that have it) of each package, sorted."""
    found: dict[tuple[str, str], list[str]] = {}
    for toolchain in sorted(facts.toolchains):
        pinned = facts.toolchains[toolchain].get("packages") or {}
        for entry in sorted(pinned):
            # One package may have a version for each platform: "torch (sys_platform == 'linux')".
            name = str(canonicalize_name(entry.partition(" (")[0]))
            users = found.setdefault((name, str(pinned[entry])), [])
            users += [toolchain] if toolchain not in users else []
    for (name, version), users in sorted(found.items()):
        yield name, version, users


def dataset_purl(data: DatasetFacts) -> str | None:
    """The package or repository that a dataset is or comes from; None of others."""
    frozen = {key: str(value) for key, value in data.source.items() if value}
    if data.scheme == "pypi":
        name, _, pinned = data.location.partition("==")
        wanted = frozen.get("version") or pinned.strip() or None
        return purl("pypi", canonicalize_name(name.partition("[")[0].strip()), wanted)
    if data.scheme == "hf":
        return purl("huggingface", data.location, frozen.get("commit"))
    return None
