"""SHA-256 of the files that a lock's pins may be installed from.

A list beside the lock, in the form of `sha256sum`, as the package index tells it; `builds.sha256`
holds builds with a local label (`torch-2.13.0+cpu`), which that index does not carry.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from mlbuild.toolchains.pins import Lock, Pin, normalized

_BUILDS = "builds.sha256"
_SOURCE = re.compile(r"(?P<name>.+)-(?P<version>[^-]+?)\.(?:tar\.gz|zip)")


def with_hashes(lock: Lock) -> tuple[Pin, ...]:
    """The lock's pins, each with the hashes of its files where the lock ships a list of them."""
    if lock.hashes is None:
        return lock.requirements
    known: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in (lock.hashes, lock.hashes.with_name(_BUILDS)):
        for file, digest in _listed(path):
            known[_pinned_by(file)].append(f"sha256:{digest}")
    return tuple(
        replace(pin, hashes=tuple(known.get((pin.name, pin.version), ())))
        for pin in lock.requirements
    )


def _listed(path: Path) -> list[tuple[str, str]]:
    """(file name, SHA-256) of each line."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines()
    return [(file, digest) for digest, file in (line.split() for line in lines if line)]


def _pinned_by(file: str) -> tuple[str, str]:
    """The name and version that a wheel's or a source archive's file name stands for."""
    source = _SOURCE.fullmatch(file)
    name, version = source.groups() if source else file.split("-")[:2]
    return normalized(name), version.partition("+")[0]
