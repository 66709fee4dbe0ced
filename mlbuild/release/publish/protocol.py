"""What a publisher does, in the three steps that a release takes everywhere."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlbuild.errors import DataError, Problem
from mlbuild.records import Json, Progress

MANIFEST = "manifest.json"
SIGNATURES = frozenset({"model.sig"})  # a second signature of the same bytes is another file


class PublishError(DataError):
    """A release could not be published, or may not be."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A release that is ready: its folder, and what services ask to be told of it."""

    folder: Path  # holds manifest.json
    name: str  # "dogs"
    version: str  # "1.2.0"
    tag: str  # "dogs@v1.2.0"
    commit: str  # full hash
    notes: str  # Markdown


class Publisher(Protocol):
    """A place that a release goes to. Each step may be repeated, and then changes nothing."""

    @property
    def name(self) -> str:
        """How messages call it: "github OWNER/REPO"."""
        ...

    def check(self, release: Bundle) -> str | None:
        """What would stand in the way, found without changing anything; None: nothing."""
        ...

    def stage(self, release: Bundle) -> None:
        """Brings everything there and verifies it, where nobody sees it yet.

        Raises:
            PublishError: it did not arrive, or the version is there with other bytes.
        """
        ...

    def reveal(self, release: Bundle) -> str:
        """Makes it visible, in one step where the place has one; gives the place's address.

        Raises:
            PublishError: it was not staged, is not whole, or the tag names another commit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to bear with a service that is away, or asks to wait."""

    tries: int = 5
    first_wait: float = 1.0  # seconds; doubled each time
    longest_wait: float = 120.0  # that a service may ask for
    connect: float = 20.0
    answer: float = 60.0
    digest: float = 300.0  # an answer to an upload: the service hashes and moves it first
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time

    def waits(self) -> list[float]:
        """The pauses between tries."""
        return [min(self.first_wait * 2**n, self.longest_wait) for n in range(self.tries - 1)]


@dataclass(frozen=True, slots=True)
class Order:
    """What a publisher is made from."""

    spec: Mapping[str, Json]  # an item of `release: publish:`, checked
    root: Path  # the project, which folders are relative to
    environ: Mapping[str, str]  # where tokens are found
    progress: Progress
    patience: Patience

    def folder(self, path: str) -> Path:
        """A folder that the spec names."""
        return Path(os.path.normpath(self.root / Path(path).expanduser()))


def silent(done: float, total: float | None, text: str) -> None:
    """Progress that nobody watches."""


def narrator(name: str, progress: Progress, total: float) -> Callable[[float, str], None]:
    """Adds up bytes of many files for one line of progress."""
    done = 0.0

    def tell(more: float, text: str) -> None:
        nonlocal done
        done = min(total, done + more)
        progress(done, total, f"{name}: {text}")

    return tell


def objection(look: Callable[[], None]) -> str | None:
    """What an attempt to look complains about, as text."""
    try:
        look()
    except PublishError as error:
        return error.render()
    return None


def differs(name: str, release: Bundle, file: str, why: str) -> PublishError:
    """The version is there already, and is not this one."""
    return PublishError(
        Problem(
            f"{name}: {release.name} {release.version} is published there with other bytes: "
            f"{os.fsdecode(file)}: {why}",
            hint="a published version never changes: release a new one",
        )
    )


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what a file system refuses into a message."""
    try:
        yield
    except OSError as error:
        file = f" ({error.filename})" if error.filename else ""
        raise PublishError(f"{name}: {error.strerror or error}{file}") from error
