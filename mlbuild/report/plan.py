"""A plan as text: what would be done, and why; what of a stage's key changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape

from mlbuild.execute import advice
from mlbuild.plan import Planned
from mlbuild.records import Decision, Json
from mlbuild.report import words

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
            why = "excluded by a gate"
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


def explanation(item: Planned) -> list[str]:
    """What of the stage's key differs from its last record, old value and new value."""
    lines = [f"{item.stage.name}: {item.decision}"]
    if item.reasons:
        lines[0] += f" ({words.reasons(item.reasons)})"
    if item.record and item.record.undeclared:
        lines.append(f"  it {advice.remark(item.record.undeclared)}; no change of that is noticed")
    if item.key is None:
        return [*lines, "  an input is not built yet; run the pipeline up to it to know more"]
    if item.previous is None:
        return [*lines, "  there is no record of an earlier run"]
    changes = list(_changes("", item.previous.parts, item.parts))
    if not changes:
        return [*lines, "  every part of its key is as it was"]
    return [*lines, *(f"  {name}: {_shown(old)} -> {_shown(new)}" for name, old, new in changes)]


def _changes(prefix: str, old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    old, new = _named(old), _named(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _changes(
                f"{prefix}.{name}" if prefix else name, old.get(name), new.get(name)
            )
    elif old != new:
        yield prefix, old, new


def _named(value: Json) -> Json:
    """An ``{all: ...}`` list, told by its variants: what came, what went, what changed."""
    if not isinstance(value, list) or not all(_is_item(item) for item in value):
        return value
    named: dict[str, Json] = {}
    for place, (axes, md5) in enumerate(value, 1):
        label = ",".join(f"{k}={v}" for k, v in sorted(axes.items())) or f"number {place}"
        named[f"[{label}]"] = md5
    return named


def _is_item(item: Json) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], Mapping)


def _shown(value: Json) -> str:
    text = "(none)" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
