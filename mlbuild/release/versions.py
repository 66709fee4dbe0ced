"""The version of a release: computed from what changed, or asked for with a reason.

While the major version is 0 nothing is promised yet: what breaks raises the minor version, and
everything else the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlbuild.errors import Problem, UsageError
from mlbuild.release.facts import Change
from mlbuild.released import Tagged, Version


@dataclass(frozen=True, slots=True)
class Decided:
    """A version, and the reason where it is not the computed one."""

    version: str
    reason: str | None = None


def decide(
    change: Change,
    last: Tagged | None,
    existing: Sequence[Tagged],
    *,
    first: str,
    asked: str | None = None,
    reason: str | None = None,
) -> Decided | None:
    """Which version a release gets.

    Args:
        change: since the last release.
        last: the release that HEAD stands on.
        existing: all releases, on whatever branch.
        first: what the first release is called.
        asked: the version that somebody wants.
        reason: why.

    Returns:
        None: nothing changed, and nobody asked.

    Raises:
        UsageError: the version is none, is taken, or is no step forward; or lacks its reason.
    """
    found = computed(change, last, first)
    if asked is None:
        if found is not None:
            _refuse_taken(found, existing, asked=False)
        return Decided(str(found)) if found else None
    wanted = Version.parse(asked.removeprefix("v"))
    if wanted is None:
        hint = "three numbers, and at most a pre-release: 1.2.0 or 1.2.0-rc.1"
        raise UsageError(Problem("--version is no semantic version", got=asked, hint=hint))
    _refuse_taken(wanted, existing, asked=True)
    if last is not None and wanted <= last.parsed:
        what = f"version {wanted} is no step forward from {last.version}, on which HEAD stands"
        raise UsageError(Problem(what, hint=f"at least {_next(last.parsed, 'patch')}"))
    if wanted == found:
        return Decided(str(wanted))
    if not (reason and reason.strip()):
        said = f"the computed version is {found}" if found else "nothing changed"
        what = f"version {wanted} needs a reason: {said}"
        raise UsageError(Problem(what, hint=f'--version {wanted} --reason "why"'))
    return Decided(str(wanted), reason.strip())


def computed(change: Change, last: Tagged | None, first: str) -> Version | None:
    """The version that follows from what changed; None where nothing did."""
    if last is None:
        return Version.parse(first)
    return None if change.level == "none" else _next(last.parsed, change.level)


def _next(last: Version, level: str) -> Version:
    if last.major == 0:
        level = {"major": "minor"}.get(level, "patch")
    if level == "major":
        return Version(last.major + 1, 0, 0)
    if level == "minor":
        return Version(last.major, last.minor + 1, 0)
    return Version(last.major, last.minor, last.patch + 1)


def _refuse_taken(version: Version, existing: Sequence[Tagged], *, asked: bool) -> None:
    taken = next((tagged for tagged in existing if tagged.parsed == version), None)
    if taken is None:
        return
    withdrawn = ", and was withdrawn" if taken.withdrawn else ""
    what = f"version {version} is taken: {taken.tag} is at commit {taken.commit[:12]}{withdrawn}"
    hint = "merge that branch, or name another one: --version X --reason TEXT"
    raise UsageError(Problem(what, hint="take a higher one" if asked else hint))
