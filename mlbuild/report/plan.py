"""A plan as text: what would be done, and why; what of a stage's key changed."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape

from mlbuild.execute import advice
from mlbuild.plan import Planned
from mlbuild.records import Decision, Json
from mlbuild.report import words
from mlbuild.report.explain import Change, Explanation, Files

_WIDTH = 80  # of a terminal
_ROOM = 74  # of it, behind a sign
_BEFORE = 24  # characters that are told before the first that differs
_MOST_FILES = 10

_COLOURS = {
    Decision.REUSE: "dim",
    Decision.RESTORE: "cyan",
    Decision.RUN: "green",
    Decision.PENDING: "yellow",
}


def print_plan(console: Console, pipeline: str, planned: list[Planned]) -> None:
    """One line a stage, then the counts."""
    width = max((len(p.stage.name) for p in planned), default=0)
    for item in planned:
        colour = _COLOURS[item.decision]
        why = words.reasons(item.reasons)
        if item.excluded:
            why = f"excluded: {item.note}" if item.note else "excluded by a gate"
        elif item.blocked and item.decision is Decision.PENDING:
            why = "behind a gate that did not hold"
        what = f"{item.decision:8}" if why else str(item.decision)
        text = f"  {escape(item.stage.name.ljust(width))}  [{colour}]{what}[/{colour}]"
        text += f" [dim]{why}[/dim]" if why else ""
        console.print(text, highlight=False, soft_wrap=True)
        for gate in item.gates:
            if not gate.ok:
                console.print(f"    gate: {escape(gate.text)}", highlight=False, soft_wrap=True)
        if item.record and item.record.undeclared:
            said = f"    it {escape(advice.remark(item.record.undeclared))}"
            console.print(said, style="yellow", highlight=False, soft_wrap=True)
    counted = [(d, sum(1 for p in planned if p.decision is d)) for d in Decision]
    shown = ", ".join(
        f"{n} to {d}" if d is not Decision.PENDING else f"{n} pending" for d, n in counted if n
    )
    console.print(f"{escape(pipeline)}: {shown or 'no stages'}", highlight=False, soft_wrap=True)


def explanation(told: Explanation, everything: bool = False) -> list[str]:
    """What of the stage's key differs from its last record, old value and new value.

    Args:
        told: what there is to tell.
        everything: neither cut long values nor stop after the first files.
    """
    item = told.item
    lines = [f"{item.stage.name}: {item.decision}"]
    if item.reasons:
        lines[0] += f" ({words.reasons(item.reasons)})"
    if item.note:
        return [f"{item.stage.name}: excluded", f"  {item.note}"]
    if item.key is None:
        waits_for = ", ".join(told.waits_for) or "an input"
        lines.append(f"  {waits_for} must be built first: then more is known")
    elif item.previous is None:
        lines.append("  there is no record of an earlier run")
    elif not told.changes:
        lines.append("  every part of its key is as it was")
    for change in told.changes:
        lines += _lines(change, everything)
    if item.record and item.record.undeclared:
        lines.append(f"  it {advice.remark(item.record.undeclared)}; no change of that is noticed")
    return lines + _origin(told)


def _origin(told: Explanation) -> list[str]:
    """Where the result comes from that makes running unnecessary."""
    if told.origin is None:
        return []
    where = {
        "in place": "its outputs are in place",
        "cache": "its outputs come from the local cache",
        "remote": "its outputs come from the remote",
    }[told.origin]
    if told.last_use is None:
        return [f"  {where}"]
    stage, when = told.last_use
    who = "" if stage == told.item.stage.name else f" as '{stage}'"
    return [f"  {where}: last built or restored {when:%Y-%m-%d %H:%M:%S}{who}"]


def _lines(change: Change, everything: bool) -> list[str]:
    if change.files and change.before and change.now:
        return _file_lines(change, change.files, everything)
    if change.packages:
        count = f"{len(change.packages)} package{'s' if len(change.packages) > 1 else ''}"
        lines = [f"  toolchain: {change.source}, {count} changed"]
        return lines + [
            f"    {name}: {_plain(old)} -> {_plain(new)}"
            for name, (old, new) in change.packages.items()
        ]
    if change.part.startswith("inputs."):
        return [_input_line(change)]
    if change.part in ("code", "toolchain"):  # digests, and nobody knows what they stood for
        old, new = (_plain(v)[:12] for v in (change.before, change.now))
        return [f"  {change.part}: {old} -> {new} (what it was before is not known here)"]
    return _value_lines(change, everything)


def _input_line(change: Change) -> str:
    place = f"{change.source}, " if change.source else ""
    old, new = (
        "(none)" if md5 is None else _sized(str(md5), size)
        for md5, size in zip((change.before, change.now), change.sizes, strict=True)
    )
    return f"  {change.part}: {place}{old} -> {new}"


def _sized(md5: str, size: int | None) -> str:
    what = "folder " if md5.endswith(".dir") else ""
    return f"{what}{md5[:8]}" + (f" ({words.size(size)})" if size is not None else "")


def _file_lines(change: Change, files: Files, everything: bool) -> list[str]:
    place = f"{change.source}, " if change.source else ""
    count = f"{files.before:,}" if files.before == files.now else f"{files.before:,} -> "
    count += "" if files.before == files.now else f"{files.now:,}"
    rows = [("added", name) for name in files.added]
    rows += [("removed", name) for name in files.removed]
    rows += [("changed", name) for name in files.changed]
    rows += [("renamed", f"{old} -> {new}") for old, new in files.renamed]
    total = Counter(how for how, _ in rows)
    told = ", ".join(f"{n:,} {how}" for how, n in total.items())
    lines = [f"  {change.part}: {place}{count} files: {told}"]
    shown = rows if everything or len(rows) <= _MOST_FILES + 1 else rows[:_MOST_FILES]
    lines += [f"    {how:7}  {name}" for how, name in shown]
    if len(shown) < len(rows):
        lines.append(f"    and {len(rows) - len(shown):,} more; --all tells them")
    return lines


def _value_lines(change: Change, everything: bool) -> list[str]:
    old, new = _plain(change.before), _plain(change.now)
    whole = f"  {change.part}: {old} -> {new}"
    if len(whole) <= _WIDTH and "\n" not in whole:
        return [whole]
    if everything:
        return [f"  {change.part}:", *_marked("-", old), *_marked("+", new)]
    old, new = _around_the_difference(old, new)
    return [f"  {change.part}:", f"    - {old}", f"    + {new}"]


def _marked(sign: str, text: str) -> list[str]:
    return [f"    {sign} {line}" for line in text.splitlines()]


def _around_the_difference(old: str, new: str) -> tuple[str, str]:
    """Both cut to a line each, so that the first character that differs is seen."""
    old, new = (" ".join(text.split()) for text in (old, new))
    same = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    start = max(0, same - _BEFORE) if max(len(old), len(new)) > _ROOM else 0
    cut = [("..." if start else "") + text[start:] for text in (old, new)]
    one, two = (t if len(t) <= _ROOM else t[: _ROOM - 3] + "..." for t in cut)
    return one, two


def _plain(value: Json) -> str:
    return "(none)" if value is None else value if isinstance(value, str) else repr(value)
