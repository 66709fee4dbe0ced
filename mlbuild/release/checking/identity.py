"""Whether a release is the one that was asked for, and not an older one played again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.manifest_reading import NAME, Manifest
from mlbuild.released import Version


@dataclass(frozen=True, slots=True)
class Asked:
    """What the release must be; None: anything goes."""

    name: str | None = None
    version: str | None = None
    at_least: str | None = None


def check_identity(manifest: Manifest, asked: Asked) -> Iterator[Finding]:
    """The name, the version, and the lowest version that is accepted."""
    where = "get the release that was asked for from where it is published"
    if asked.name is not None and manifest.name != asked.name:
        what = "this is a release of another model"
        yield Finding(About.IDENTITY, f"{NAME}: name", what, asked.name, manifest.name, where)
    if asked.version is not None and manifest.release != asked.version:
        what = "this is another release"
        place = f"{NAME}: release"
        yield Finding(About.IDENTITY, place, what, asked.version, manifest.release, where)
    if asked.at_least is not None and _version(manifest.release) < _version(asked.at_least):
        what = "this is an older release"
        least = f"at least {asked.at_least}"
        yield Finding(About.IDENTITY, f"{NAME}: release", what, least, manifest.release, where)


def _version(text: str) -> Version:
    found = Version.parse(text)
    assert found is not None, text  # of the manifest and of the command line: both are checked
    return found
