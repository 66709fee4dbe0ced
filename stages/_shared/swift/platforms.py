"""The oldest systems that run a model."""

from __future__ import annotations

from collections.abc import Mapping

from ..problem.problem import Problem

# The oldest systems of each specification version. watchOS lacks Core Image.
_PLATFORMS = {
    6: {"iOS": "15.0", "macOS": "12.0", "tvOS": "15.0", "visionOS": "1.0"},
    7: {"iOS": "16.0", "macOS": "13.0", "tvOS": "16.0", "visionOS": "1.0"},
    8: {"iOS": "17.0", "macOS": "14.0", "tvOS": "17.0", "visionOS": "1.0"},
    9: {"iOS": "18.0", "macOS": "15.0", "tvOS": "18.0", "visionOS": "2.0"},
    10: {"iOS": "26.0", "macOS": "26.0", "tvOS": "26.0", "visionOS": "26.0"},
}


def platforms_of(version: int) -> list[tuple[str, str]]:
    """The oldest systems that run a model of a specification version."""
    newest = _PLATFORMS[max(_PLATFORMS)] if version > max(_PLATFORMS) else _PLATFORMS[6]
    return list(_PLATFORMS.get(version, newest).items())


def platforms(version: int, wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same, where a user wants some of them newer.

    Raises:
        Problem: one is unknown, no version, or too old for the model.
    """
    known = dict(platforms_of(version))
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise Problem(f"platforms: {unknown[0]!r} is unknown, allowed: {', '.join(known)}")
    for platform, oldest in wanted.items():
        if _number(oldest) < _number(known[platform]):
            raise Problem(
                f"platforms: the model needs {platform} {known[platform]}, asked was {oldest}",
                hint="convert the model with an older `target`",
            )
    return list({**known, **wanted}.items())


def _number(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError as error:
        raise Problem(f"platforms: {version!r} is no version such as '17.0'") from error
