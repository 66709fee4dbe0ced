"""Gates in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlbuild.records import Json
from mlbuild.release.documents.blocks import Block, Bullets, Code, Line, Strong, Table, line
from mlbuild.release.documents.wording import number, told
from mlbuild.release.facts import GateFacts, ReleaseFacts

_LIMITS = {
    "min": "at least",
    "max": "at most",
    "min_lower": "surely at least",
    "max_upper": "surely at most",
    "max_lower": "interval's lower end at most",
    "min_upper": "interval's upper end at least",
    "max_drop": "drops by at most",
    "max_rise": "rises by at most",
}


def limits(gate: GateFacts) -> str:
    """What a gate asks for, as words."""
    found, compared = [], False
    for name in sorted(gate.limits.keys() - {"against", "relative", "first"}):
        value: Json = gate.limits[name]
        relative: Json = gate.limits.get("relative")
        if isinstance(value, Mapping):
            value, relative = value.get("value"), value.get("relative")
        share = relative is True or (isinstance(relative, list | tuple) and name in relative)
        found.append(f"{_LIMITS.get(name, name)} {_number(value)}{' of it' if share else ''}")
        compared |= name in ("max_drop", "max_rise")
    text = ", ".join(found) + (" since the last release" if compared else "")
    first = gate.limits.get("first")
    if compared and gate.released is None and isinstance(first, Mapping):
        asked = [f"{_LIMITS.get(k, k)} {_number(v)}" for k, v in sorted(first.items())]
        return f"{text}; while there is none, {', '.join(asked)}"
    return text


def stood(gate: GateFacts) -> str:
    """How it stood."""
    if gate.ok:
        return "holds"
    return "fails, waived" if gate.waiver else "fails"


def table(facts: ReleaseFacts) -> tuple[Block, ...]:
    """Every gate, and the reasons of waivers below."""
    rows = tuple(_row(gate) for gate in facts.gates)
    if not rows:
        return ()
    header = ("stage", "metric", "asked", "value", "last release", "")
    blocks: list[Block] = [Table(header, rows, frozenset({3, 4}))]
    waived = waivers(facts.gates)
    return (*blocks, Bullets(waived)) if waived else tuple(blocks)


def waivers(gates: Sequence[GateFacts]) -> tuple[Line, ...]:
    """A line for each gate that may fail, with the reason."""
    return tuple(
        line(Strong("Waived"), ": ", Code(f"{g.stage}: {g.metric}"), f" {limits(g)}: ", g.waiver)
        for g in gates
        if g.waiver and not g.ok
    )


def _row(gate: GateFacts) -> tuple[Line, ...]:
    value = "none recorded" if gate.value is None else number(gate.value)
    released = "" if gate.released is None else number(gate.released)
    how: Line = line("holds") if gate.ok else line(Strong(stood(gate)))
    return (
        line(Code(gate.stage)),
        line(Code(gate.metric)),
        line(limits(gate)),
        line(value),
        line(released),
        how,
    )


def summary(gates: Sequence[GateFacts]) -> str:
    """All gates in one phrase."""
    if not gates:
        return "none were set"
    holding = sum(g.ok for g in gates)
    waived = sum(not g.ok and g.waiver is not None for g in gates)
    failing = len(gates) - holding - waived
    parts = [f"{holding} of {len(gates)} hold"] if holding < len(gates) else [f"all {holding} hold"]
    parts += [f"{waived} waived"] if waived else []
    parts += [f"{failing} failing"] if failing else []
    return ", ".join(parts)


def _number(value: Json) -> str:
    return number(value) if isinstance(value, int | float) else told(value)
