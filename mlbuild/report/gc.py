"""What `mlbuild gc` found and did, as a table and as JSON objects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from mlbuild.report import words
from mlbuild.report.events import EVENTS_VERSION
from mlbuild.store.gc.collect import Findings
from mlbuild.store.gc.deletion import Deleted
from mlbuild.store.gc.leftovers import Leftover
from mlbuild.store.gc.survey import Freed, Kept, Survey

_MOST = 12  # rows of one sort on the screen; --json tells all
_KINDS = (
    "checkout",
    "worktree",
    "branch",
    "release",
    "tag",
    "remote branch",
    "stash",
    "ref",
    "commit",
    "past",
    "recent",
)


def gc_lines(found: Findings, root: Path, keep_days: float, grace_hours: float) -> Iterator[str]:
    """The tables: kept by whom, freed of what, and what could go as well."""
    ages = {
        "past": f"past results, used in the last {_number(keep_days)} days",
        "recent": f"anything of the last {_number(grace_hours)} hours",
    }
    for cache in found.caches:
        yield f"cache {cache.cache.folder}"
        yield from _kept_lines(cache, ages)
        yield from _freed_lines(cache)
    for item in found.leftovers:
        yield f"  {_leftover(item, root)}"
    if found.optional:
        yield "stays, unless you ask:"
        for option, items in groupby(sorted(found.optional, key=_by_option), _by_option):
            rows = list(items)
            yield f"  {option}: {_count(len(rows), 'thing')}, {_size(sum(r.size for r in rows))}"
            yield from (f"    {_leftover(item, root)}" for item in rows[:_MOST])
            if len(rows) > _MOST:
                yield f"    and {len(rows) - _MOST} more"
    yield from (f"note: {note}" for note in found.notes)


def would_free(found: Findings) -> str:
    """The sum of a look."""
    return f"would free {_size(found.size)}" if found.anything else "nothing to free"


def freed(done: Deleted) -> str:
    """The sum of what was deleted."""
    parts = [
        _count(done.results, "past result"),
        _count(done.objects, "object"),
        _count(done.others, "other thing"),
    ]
    shown = [part for part in parts if not part.startswith("0 ")]
    return f"freed {_size(done.size)}" + (f": {', '.join(shown)}" if shown else "")


def gc_events(found: Findings, done: Deleted | None) -> list[dict[str, Any]]:
    """One object for each that keeps something, for each that goes, and last the sum."""
    events: list[dict[str, Any]] = []
    for cache in found.caches:
        where = str(cache.cache.folder)
        events += [{"event": "kept", "cache": where, **_kept_facts(row)} for row in cache.kept]
        events += [{"event": "freed", "cache": where, **_freed_facts(row)} for row in cache.freed]
    events += [_leftover_event("leftover", item) for item in found.leftovers]
    events += [_leftover_event("optional", item) for item in found.optional]
    last: dict[str, Any] = {
        "event": "gc",
        "version": EVENTS_VERSION,
        "kept_objects": sum(cache.kept_objects for cache in found.caches),
        "kept_bytes": sum(cache.kept_size for cache in found.caches),
        "free_results": sum(len(cache.entries) for cache in found.caches),
        "free_objects": sum(len(cache.objects) for cache in found.caches),
        "free_bytes": found.size,
        "deleted": done is not None,
        "notes": found.notes,
    }
    if done:
        last |= {"deleted_results": done.results, "deleted_objects": done.objects}
        last |= {"deleted_bytes": done.size}
    return [*events, last]


def _kept_lines(cache: Survey, ages: dict[str, str]) -> Iterator[str]:
    shown = [row for row in cache.kept if row.objects or row.kind == "checkout"]
    rows = sorted(shown, key=lambda row: _KINDS.index(row.kind))  # stable: as they were found
    table: list[tuple[str, str, str, str]] = []
    for kind, group in groupby(rows, lambda row: row.kind):
        all_rows = list(group)
        some = all_rows if len(all_rows) <= _MOST else all_rows[: _MOST - 1]
        table += [
            (_holder(row, ages), str(row.objects), _size(row.size), _size(row.only_size))
            for row in some
        ]
        rest = all_rows[len(some) :]
        if rest:
            only = _size(sum(row.only_size for row in rest))
            table.append((f"{len(rest)} more of kind {kind}", "", "", only))
    both = (str(cache.kept_objects), _size(cache.kept_size))
    table.append(("all together, shared ones counted once", *both, ""))
    yield from _table(("kept by", "objects", "size", "for it alone"), table)


def _freed_lines(cache: Survey) -> Iterator[str]:
    table = [
        (_owner(row), str(row.results or ""), str(row.objects), _size(row.size))
        for row in cache.freed[:_MOST]
    ]
    rest = cache.freed[_MOST:]
    if rest:
        counts = (sum(r.results for r in rest), sum(r.objects for r in rest))
        size = _size(sum(r.size for r in rest))
        table.append((f"{len(rest)} more stages", str(counts[0]), str(counts[1]), size))
    if cache.half_written:
        size = _size(sum(seen.size for _, seen in cache.half_written))
        table.append(("half-written by killed processes", "", str(len(cache.half_written)), size))
    if table:
        yield from _table(("free", "results", "objects", "size"), table)


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in (head, *rows):
        first = f"{'' if row is head else '  '}{row[0]}".ljust(widths[0] + 2)
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([first, *cells]).rstrip()


def _holder(row: Kept, ages: dict[str, str]) -> str:
    if row.kind in ages:
        return ages[row.kind]
    return row.name if row.kind == "checkout" else f"{row.kind} {row.name}"


def _owner(row: Freed) -> str:
    if row.pipeline:
        return f"{row.pipeline} {row.stage}"
    return f"dvc: {row.stage[:60]}" if row.stage else "nothing names them any more"


def _leftover(item: Leftover, root: Path) -> str:
    path = item.path.relative_to(root) if item.path.is_relative_to(root) else item.path
    return f"{item.kind} {path}  {_size(item.size)}, {_age(item.last_use)}"


def _age(moment: float) -> str:
    days = (time.time() - moment) / 86_400
    return "less than a day old" if days < 1 else f"{_count(int(days), 'day')} old"


def _by_option(item: Leftover) -> str:
    return item.option


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:g}"


def _size(count: int) -> str:
    return words.size(count) if count else "0"


def _kept_facts(row: Kept) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "objects": row.objects,
        "bytes": row.size,
        "only_objects": row.only_objects,
        "only_bytes": row.only_size,
    }


def _freed_facts(row: Freed) -> dict[str, Any]:
    return {
        "pipeline": row.pipeline or None,
        "stage": row.stage or None,
        "results": row.results,
        "objects": row.objects,
        "bytes": row.size,
    }


def _leftover_event(event: str, item: Leftover) -> dict[str, Any]:
    return {
        "event": event,
        "kind": item.kind,
        "path": str(item.path),
        "bytes": item.size,
        "last_use": round(item.last_use),
        "option": item.option or None,
    }
