"""Results of earlier builds beside those of today: copies of what was released."""

from __future__ import annotations

from pathlib import Path

from mlbuild.errors import DataError
from mlbuild.records import Digest, Progress
from mlbuild.store.cache import Objects
from mlbuild.store.files import explained, remove
from mlbuild.store.publish import move_path
from mlbuild.store.team import Team


def bring(
    objects: Objects,
    team: Team,
    folder: Path,
    digest: Digest,
    name: str,
    progress: Progress | None = None,
) -> Path:
    """Puts a file or folder of the cache below ``folder``, under its own name.

    Raises:
        DataError: neither the local cache nor the remote has all of it, or its bytes are others.
    """
    place = folder / digest.md5 / name
    with explained("putting what was released into place", place):
        if not objects.complete(digest.md5):
            remove(place.parent)  # what may lie there cannot be held against its objects
            fetched = team.fetch_objects([digest.md5], progress)
            lost = sorted(fetched.missing | fetched.corrupt)
            if lost:
                raise DataError(
                    f"object {lost[0]} is neither in the cache nor, intact, on the remote"
                )
        aside = folder / f".{digest.md5}"
        remove(aside)
        objects.checkout(digest, aside)
        remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        move_path(aside, place)
    return place
