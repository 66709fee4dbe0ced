"""What became of each case, read back from the lines that the processes wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What a case can end as. Only the first three count: the rest compared no numbers.
OUTCOMES = {
    "passed": "numbers were compared and agreed",
    "failed": "numbers differed, or the runtime or the test gave up after a model was loaded",
    "refused": "the runtime says that it cannot run the model",
    "no_numbers": "passed without comparing a number",
    "unreached": "the converter or the test itself gave up before a model was run, or, where "
    "that is known, at something else after the numbers had agreed",
    "skipped": "left out by the test itself, or known to fail",
}


@dataclass(frozen=True)
class Result:
    """One case of one seed."""

    family: str
    seed: int
    test: str
    outcome: str
    reason: str
    compared: int
    type: str
    seconds: float

    @property
    def function(self) -> str:
        """The test function without its parameters, its file without folders."""
        return self.test.split("[")[0].split("/")[-1]


@dataclass(frozen=True)
class Tally:
    """Cases by outcome."""

    counts: Counter[str]

    @property
    def counted(self) -> int:
        """Cases that compared numbers, and those that would have."""
        return self.counts["passed"] + self.counts["failed"] + self.counts["refused"]

    @property
    def share(self) -> float | None:
        """Of these, the share that passed."""
        return self.counts["passed"] / self.counted if self.counted else None


def tally(results: Iterable[Result]) -> Tally:
    """Count outcomes."""
    return Tally(Counter(result.outcome for result in results))


def by_function(results: Iterable[Result]) -> dict[str, Tally]:
    """Count outcomes of each test function."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.function, []).append(result)
    return {name: tally(group) for name, group in sorted(groups.items())}


def events(file: Path) -> list[dict[str, Any]]:
    """All lines of one file; the last one may have been cut off by a kill."""
    found = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def interrupted(file: Path) -> str | None:
    """The case that began last, if it never ended."""
    last = [event for event in events(file) if event["event"] in ("begin", "end")][-1:]
    return last[0]["test"] if last and last[0]["event"] == "begin" else None


def read(folder: Path) -> list[Result]:
    """Every result in a folder."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        match = re.fullmatch(r"(.+)-(\d+)", file.stem)
        if match is None:
            continue
        family, seed = match[1], int(match[2])
        for event in events(file):
            if event["event"] == "end":
                told = {key: event[key] for key in ("test", "outcome", "reason", "compared")}
                found.append(
                    Result(family, seed, type=event["type"], seconds=event["seconds"], **told)
                )
            elif event["event"] == "uncollected":
                found.append(
                    Result(family, seed, event["test"], "unreached", event["reason"], 0, "", 0.0)
                )
    return found
