"""Whether a release is the one that was asked for, and not an older one played again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import Problem, UsageError
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.manifest_reading import NAME, Manifest
from mlbuild.released import Version


@dataclass(frozen=True, slots=True)
class Asked:
    """What the release must be; None: anything goes."""

    name: str | None = None
    version: str | None = None
    at_least: str | None = None

    def __post_init__(self) -> None:
        """Raises a UsageError where a version is none."""
        for option, text in (("--version", self.version), ("--at-least", self.at_least)):
            if text is not None and Version.parse(text) is None:
                raise UsageError(Problem(f"{option} is no version", got=text, hint="such as 1.2.0"))


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


def check_place(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """What the names of folders say: in a project a release lies in ``releases/NAME/vVERSION/``."""
    place = folder.resolve()
    version = f"v{manifest.release}"
    remedy = "another release lies where this one belongs: get it again"
    if Version.parse(place.name.removeprefix("v")) and place.name != version:
        what = "the folder is named after another release"
        yield Finding(About.IDENTITY, f"{NAME}: release", what, place.name, version, remedy)
    above = place.parent.parent
    in_project = above.name == "releases" and (above.parent / "dvc.lock").exists()
    if in_project and place.parent.name != manifest.name:
        what = "the folder above is named after another model"
        name = place.parent.name
        yield Finding(About.IDENTITY, f"{NAME}: name", what, name, manifest.name, remedy)


def _version(text: str) -> Version:
    found = Version.parse(text)
    assert found is not None, text  # of the manifest or of `Asked`: both are checked
    return found
