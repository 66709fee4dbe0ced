"""Addresses: packages and datasets as package URLs, others as what every reader takes.

Format: https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from packaging.utils import canonicalize_name

from mlbuild.release.documents.markup import visible
from mlbuild.release.facts import DatasetFacts, ReleaseFacts

# scheme://host, path, ?query, #fragment
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://)([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.I | re.S)
_HOST = re.compile(r"[A-Za-z0-9.@:_~-]+|\[[0-9A-Fa-f:.]+\](?::\d+)?")
_ESCAPES = re.compile(r"(%[0-9A-Fa-f]{2})")
_KEPT = "/:@!$&'()*+,;=~?"


def web_address(text: str) -> str | None:
    """An address with what none may hold percent-encoded; None of what is no address."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not _HOST.fullmatch(found[2]):
        return None
    rest = [
        part[:1] + _encoded(part[1:]) for part in (found[3], found[4] or "", found[5] or "") if part
    ]
    return f"{found[1]}{found[2]}{''.join(rest)}"


def _encoded(text: str) -> str:
    """Percent-encoded once: what is so already stays."""
    parts = _ESCAPES.split(visible(text))  # every second one is an escape
    return "".join(part if i % 2 else quote(part, safe=_KEPT) for i, part in enumerate(parts))


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
