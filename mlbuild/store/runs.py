"""The run cache: every result that was ever built here or pulled, under a digest of its stage key.

The entries lie where DVC keeps its own and have their form, so that `dvc push --run-cache` and
`dvc pull --run-cache` carry them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mlbuild.records import Json, StageRecord
from mlbuild.store.cache import is_digest
from mlbuild.store.files import checkpoint, explained, sweep, write_atomic
from mlbuild.store.ledger import record_of


def run_key(key: str) -> str:
    """The name under which the results of a stage key are kept."""
    return hashlib.sha256(f"mlbuild:{key}".encode()).hexdigest()


def value_name(entry: Json) -> str:
    """The name of an entry: the digest of what it says."""
    whole = json.dumps(_without_sizes(entry), sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


class RunCache:
    """One cache folder's run cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "runs"

    def find(self, key: str) -> list[StageRecord]:
        """The records that are known for a stage key, newest first. Damaged ones are removed."""
        folder = self._folder_of(key)
        try:
            found = [Path(folder, name) for name in os.listdir(folder)]  # noqa: PTH208 - hot
            names = sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)
        except OSError:
            return []
        return [record for name in names if (record := self._load(name, key)) is not None]

    def last_use(self, key: str) -> tuple[str, float] | None:
        """Which stage had a key last, and when it was built or restored (seconds since 1970)."""
        if not self.find(key):  # damaged entries are gone after this
            return None
        file = max(self._place(key).iterdir(), key=lambda p: p.stat().st_mtime)
        found = record_of(json.loads(file.read_bytes()))
        return (found[0], file.stat().st_mtime) if found else None

    def add(self, key: str, entry: Json) -> None:
        """Keeps a result; its objects must be in the cache already."""
        folder = self._folder_of(key)
        file = f"{folder}/{value_name(entry)}"
        with explained("writing the run cache", Path(file)):
            if os.path.exists(file):  # noqa: PTH110 - hot
                os.utime(file)  # the newest is tried first
                return
            checkpoint("run cache")
            if not _made(folder):
                sweep(Path(folder))
            write_atomic(Path(file), json.dumps(entry).encode(), sync=False)

    def has(self, key: str, value: str) -> bool:
        """Whether that very entry is known."""
        return (self._place(key) / value).exists()

    def accept(self, key: str, value: str, data: bytes) -> bool:
        """Keeps an entry that somebody else wrote, if it is what its place says.

        Args:
            key: the stage key that was asked for.
            value: the entry's name.
            data: its bytes.

        Returns:
            False where it is damaged, of another key, or leads out of the project or the cache.
        """
        try:
            entry = json.loads(data)
            found = record_of(entry)
        except ValueError:
            return False
        if found is None or found[1].key != key or value_name(entry) != value:
            return False
        if not all(is_digest(out.md5) for out in found[1].outputs.values()):
            return False
        if not all(_inside(str(out["path"])) for out in entry.get("outs", [])):
            return False
        file = self._place(key) / value
        with explained("writing the run cache", file):
            write_atomic(file, data, sync=False)
        return True

    def entries(
        self, files: tuple[str, str] | None = None
    ) -> Iterator[tuple[Path, str, StageRecord]]:
        """Every result that is known: the entry's file, the stage's name, the record.

        Args:
            files: only of the pipeline with this file and these pins.
        """
        for file in self._folder.glob("??/*/*"):
            with contextlib.suppress(OSError, ValueError):
                found = record_of(json.loads(file.read_bytes()), files)
                if found is not None and file.parent.name == run_key(found[1].key):
                    yield file, *found

    def _place(self, key: str) -> Path:
        return Path(self._folder_of(key))

    def _folder_of(self, key: str) -> str:
        name = run_key(key)
        return f"{self._folder}/{name[:2]}/{name}"

    def _load(self, file: Path, key: str) -> StageRecord | None:
        if file.name.startswith("."):
            sweep(file.parent)  # what a killed process left half-written
            return None
        try:
            found = record_of(json.loads(file.read_bytes()))
        except (OSError, ValueError):
            found = None
        if found is None or found[1].key != key:
            with contextlib.suppress(OSError):
                file.unlink()
            return None
        return found[1]


def _made(folder: str) -> bool:
    """Makes a folder; False: it was there."""
    try:
        os.mkdir(folder)  # noqa: PTH102 - hot
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return True


def _inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _without_sizes(value: Json) -> Json:
    if isinstance(value, dict):
        return {
            k: _without_sizes(v) if isinstance(v, (dict, list)) else v
            for k, v in value.items()
            if k not in ("size", "nfiles")
        }
    if isinstance(value, list):
        return [_without_sizes(item) for item in value]
    return value
