"""`latest.json`: which version of a model is the newest one at a place of plain files."""

from __future__ import annotations

import json

from mlbuild.release.publish.protocol import MANIFEST, Bundle, PublishError
from mlbuild.released import Version

LATEST = "latest.json"
_LAYOUT = 1


def pointer(release: Bundle, manifest_sha256: str) -> bytes:
    """What points to a release; paths are relative to the pointer's folder."""
    said = {
        "version": _LAYOUT,
        "name": release.name,
        "release": release.version,
        "tag": release.tag,
        "manifest": f"v{release.version}/{MANIFEST}",
        "sha256": manifest_sha256,
    }
    return (json.dumps(said, indent=2, sort_keys=True) + "\n").encode()


def moves(place: str, release: Bundle, old: bytes | None) -> bool:
    """Whether the pointer goes on to a release: never back, and to a pre-release only from one.

    Raises:
        PublishError: the pointer there is not ours, or is newer than this program.
    """
    if old is None:
        return True
    try:
        said = json.loads(old)
        layout, name, named = said["version"], said["name"], Version.parse(said["release"])
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{place}: it is no pointer to a release") from error
    if layout != _LAYOUT or name != release.name or named is None:
        raise PublishError(f"{place}: a pointer of another kind (version {layout}, of '{name}')")
    new = Version.parse(release.version)
    if new is None:
        raise PublishError(f"'{release.version}' is no version")
    if new.pre and not named.pre:
        return False
    return new >= named or bool(named.pre and not new.pre)
