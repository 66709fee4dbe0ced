"""All pipelines of a project at a glance: one line each, and the same as JSON objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild.errors import MlbuildError
from mlbuild.plan import Planned
from mlbuild.records import Decision
from mlbuild.report.events import EVENTS_VERSION, plan_events, status_event

_WORDS = {
    Decision.REUSE: "up to date",
    Decision.RUN: "to run",
    Decision.RESTORE: "to restore",
    Decision.PENDING: "pending",
}
_BEGAN = re.compile(r"\d+ stages, \d+ to do: ")
_ENDED = re.compile(r"exit (\d+) after ([\d.]+) s: (.*)")
_WHEN = "0000-00-00 00:00:00"  # the form of a line's time


@dataclass(frozen=True, slots=True)
class LastBuild:
    """The last build that did something, as the engine's log tells it."""

    when: str  # local time
    exit_code: int | None  # None: it never came to its end
    seconds: float | None = None
    counts: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is to be told of one pipeline."""

    file: str
    name: str | None = None
    planned: Sequence[Planned] = ()
    last: LastBuild | None = None
    holder: str | None = None  # who is building it now
    uncommitted: bool = False  # its lock file, as far as git is asked
    error: MlbuildError | None = None
    gone: int | None = None  # there is no such file, but that many stages of it in dvc.lock


def last_build(log: Path, pipeline: str, building: bool) -> LastBuild | None:
    """Finds a pipeline's last build in the engine's log.

    Args:
        log: the newest one; the older ones lie beside it.
        pipeline: its name.
        building: it is being built now: that it has not ended says nothing.
    """
    for file in (log, log.with_name(f"{log.name}.1")):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in reversed(lines):
            when, rest = line[: len(_WHEN)], line[len(_WHEN) :]
            told = rest.partition(f" {pipeline}: ")[2]
            ended = _ENDED.fullmatch(told)
            if ended:
                return LastBuild(when, int(ended[1]), float(ended[2]), ended[3])
            if _BEGAN.match(told) and not building:
                return LastBuild(when, None)
    return None


def overview_lines(rows: Sequence[Overview], uncommitted: Sequence[str]) -> Iterator[str]:
    """A table without a frame: file, state, last build, and what else there is to know."""
    table = [(row.file, _state(row), _last(row), "; ".join(_remarks(row))) for row in rows]
    whole = [line for row, line in zip(rows, table, strict=True) if row.name]
    widths = [max((len(line[column]) for line in whole), default=0) for column in range(3)]
    widths[0] = max((len(line[0]) for line in table), default=0)
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True)]
        yield f"  {'  '.join([*cells, line[3]])}".rstrip()
    if not rows:
        yield "there is no pipeline here: mlbuild init makes one in pipelines/"
    if uncommitted:
        yield f"not committed to git: {', '.join(uncommitted)}"


def overview_events(rows: Sequence[Overview]) -> Iterator[dict[str, Any]]:
    """For each pipeline its stages, then one object for itself."""
    for row in rows:
        more: dict[str, Any] = {"file": row.file}
        if row.error or row.name is None:
            yield {"event": "status", "version": EVENTS_VERSION, "pipeline": None, **more} | _bad(
                row
            )
            continue
        planned = list(row.planned)
        yield from ({**event, "pipeline": row.name} for event in plan_events(planned))
        more["gates"] = _gates(row)
        more["last_build"] = _last_facts(row.last)
        more["holder"] = row.holder
        more["uncommitted"] = row.uncommitted
        yield {**status_event(row.name, planned), **more}


def _state(row: Overview) -> str:
    if row.error:
        first = row.error.problems[0].render().splitlines()[0]
        rest = len(row.error.problems) - 1
        more = f" (and {rest} more: mlbuild status {row.file})" if rest else ""
        return f"broken: {first}{more}"
    if row.gone is not None:
        return f"the file is gone; dvc.lock has {row.gone} stages of it"
    counted = [(word, sum(p.decision is d for p in row.planned)) for d, word in _WORDS.items()]
    return ", ".join(f"{number} {word}" for word, number in counted if number) or "no stages"


def _last(row: Overview) -> str:
    if row.error or row.gone is not None:
        return ""
    if row.last is None:
        return "never built here" if not row.holder else ""
    if row.last.exit_code is None:
        return f"cut off {row.last.when[:16]}"
    verdict = "ok" if row.last.exit_code == 0 else f"exit {row.last.exit_code}"
    return f"{verdict} {row.last.when[:16]}"


def _remarks(row: Overview) -> Iterator[str]:
    failed = _gates(row)
    if failed:
        yield f"gates that do not hold: {', '.join(sorted({gate['stage'] for gate in failed}))}"
    if row.holder:
        yield f"being built: {row.holder}"
    if row.uncommitted:
        yield "not committed"


def _gates(row: Overview) -> list[dict[str, Any]]:
    return [
        {
            "stage": item.stage.name,
            "metric": gate.gate.metric,
            "value": gate.value,
            "text": gate.text,
        }
        for item in row.planned
        for gate in item.gates
        if not gate.ok
    ]


def _last_facts(last: LastBuild | None) -> dict[str, Any] | None:
    if last is None:
        return None
    facts = {"when": last.when, "exit_code": last.exit_code, "seconds": last.seconds}
    return {**facts, "counts": last.counts}


def _bad(row: Overview) -> dict[str, Any]:
    if row.error:
        return {"error": row.error.render()}
    return {"gone": row.gone}
