"""What is known of models, by their MD5: looking into one takes seconds, and is done once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlbuild import __version__
from mlbuild.records import Json
from mlbuild.release.artifacts import Inspect
from mlbuild.store.files import explained, write_atomic


class Models:
    """Looks into models and keeps what it saw.

    Args:
        state_dir: `.mlbuild` of the project, a cache of knowledge.
        inspect: looks into a model.
    """

    def __init__(self, state_dir: Path, inspect: Inspect) -> None:
        self._folder, self._inspect = state_dir / "release" / "models", inspect

    def __call__(self, md5: str, place: Path) -> Mapping[str, Json]:
        """What is inside the model of that MD5 that lies at a place."""
        file = self._folder / f"{md5}.json"
        known = _read(file)
        if known is not None:
            return known
        found = self._inspect(md5, place)
        with explained("keeping what is inside a model", file):
            file.parent.mkdir(parents=True, exist_ok=True)
            whole = {"mlbuild": __version__, "model": dict(found)}
            write_atomic(file, json.dumps(whole, sort_keys=True).encode(), sync=False)
        return found


def _read(file: Path) -> Mapping[str, Json] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("mlbuild") != __version__:
        return None  # another version may tell other things of it
    model = found.get("model")
    return model if isinstance(model, dict) else None
