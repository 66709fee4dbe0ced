"""Sends a release to all its places: everything there, then the tags, then everything visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlbuild.errors import DataError, MlbuildError, Problem
from mlbuild.release.publish.protocol import Bundle, Publisher


@dataclass(frozen=True, slots=True)
class Sent:
    """A place, and what became of the release there."""

    publisher: str
    where: str | None = None  # its address there
    obstacle: str | None = None  # what would stand in the way


def survey(bundle: Bundle, places: Sequence[Publisher]) -> list[Sent]:
    """What would stand in the way, place by place; changes nothing."""
    return [Sent(place.name, obstacle=place.check(bundle)) for place in places]


def send(
    bundle: Bundle,
    places: Sequence[Publisher],
    tag: Callable[[], Sequence[str]],
    tell: Callable[[str], None],
) -> list[Sent]:
    """Brings a release to every place, and makes it visible once it is everywhere and tagged.

    Args:
        bundle: the release.
        places: where to.
        tag: makes the tags, all or none, and gives their names.
        tell: hears of each step.

    Raises:
        DataError: with what was done and how to go on.
    """
    obstacles = [sent for sent in survey(bundle, places) if sent.obstacle]
    if obstacles:
        raise DataError(*[Problem(str(sent.obstacle)) for sent in obstacles])
    done: list[str] = []
    try:
        for place in places:
            tell(f"sending to {place.name}")
            place.stage(bundle)
            done.append(f"sent to {place.name}")
        for name in tag():
            tell(f"tagged {name}")
            done.append(f"tagged {name}")
        sent = []
        for place in places:
            where = place.reveal(bundle)
            tell(f"published: {where}")
            done.append(f"published by {place.name}")
            sent.append(Sent(place.name, where))
        return sent
    except MlbuildError as error:
        raise _cut_off(error, bundle, done) from error


def _cut_off(error: MlbuildError, bundle: Bundle, done: Sequence[str]) -> DataError:
    seen = any(step.startswith(("tagged", "published")) for step in done)
    what = f"{bundle.name} {bundle.version} is not released completely"
    got = f"done: {'; '.join(done)}" if done else "nothing was sent yet"
    if not seen:
        got += "; nobody sees any of it yet"
    hint = "release again from the same commit: it goes on from here"
    return DataError(*error.problems, Problem(what, got=got, hint=hint))
