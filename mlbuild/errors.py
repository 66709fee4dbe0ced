"""The error tree: one class for each phase, each with its exit code.

A message has place, what, got, allowed, remedy, in this order, and keeps its cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXIT_OK = 0
EXIT_STAGE = 1
EXIT_PIPELINE = 2
EXIT_TOOLCHAIN = 3
EXIT_DATA = 4
EXIT_GATE = 5
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a text file; line and column count from 1."""

    file: str
    line: int
    column: int
    text: str | None = None  # the source line, shown with a caret

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with everything a user needs to put it right."""

    message: str
    place: Place | None = None
    got: str | None = None
    allowed: tuple[str, ...] = ()
    hint: str | None = None

    def render(self) -> str:
        """The message as it is printed, several lines long."""
        lines = [f"{self.place}: {self.message}" if self.place else self.message]
        if self.place and self.place.text is not None:
            lines += _excerpt(self.place)
        if self.got is not None:
            lines.append(f"  got: {self.got}")
        if self.allowed:
            lines.append(f"  allowed: {', '.join(self.allowed)}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


_WIDTH = 120  # columns of a source line that are shown around the caret


def _excerpt(place: Place) -> list[str]:
    text, column = (place.text or "").rstrip("\n").expandtabs(1), place.column
    if len(text) > _WIDTH:
        start = max(0, min(column - 1 - _WIDTH // 2, len(text) - _WIDTH))
        text, column = text[start : start + _WIDTH], column - start
    gutter = f"{place.line:>4} | "
    return [gutter + text, " " * (len(gutter) - 2) + "| " + " " * (column - 1) + "^"]


class MlbuildError(Exception):
    """Base of all errors that are told to the user without a traceback."""

    exit_code = EXIT_STAGE

    def __init__(self, *problems: Problem | str, hint: str | None = None) -> None:
        self.problems = tuple(Problem(p, hint=hint) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(p.message for p in self.problems))

    def render(self) -> str:
        """All problems, one below the other."""
        return "\n".join(p.render() for p in self.problems)


class UsageError(MlbuildError):
    """The command line is wrong."""

    exit_code = EXIT_PIPELINE


class PipelineError(MlbuildError):
    """The pipeline file, a stage kind's spec, or the graph is wrong."""

    exit_code = EXIT_PIPELINE


class StageError(MlbuildError):
    """A stage failed."""

    exit_code = EXIT_STAGE


class ToolchainError(MlbuildError):
    """A toolchain could not be made."""

    exit_code = EXIT_TOOLCHAIN


class DataError(MlbuildError):
    """A dataset is missing, corrupt or unreachable, or the disk is full."""

    exit_code = EXIT_DATA


class LedgerError(DataError):
    """The ledger or the build record cannot be read or written."""


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The valid spelling that is closest to ``word``, if any is close."""
    import difflib  # lazy: needed only once something is wrong

    lowered = {a.lower(): a for a in allowed}
    found = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """A hint with the nearest spelling, or nothing."""
    close = nearest(word, allowed)
    return f"did you mean '{close}'?" if close else None
