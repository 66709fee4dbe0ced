"""What was reached, read from the result: sizes and formats by layer, before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .plan import Choice
from .weights import Weight

VERSION = 1


def rows(choices: Sequence[Choice], after: Sequence[Weight]) -> list[dict[str, Any]]:
    """One row for each weight, in the order of the program.

    Raises:
        ValueError: the result lacks a weight that the model had.
    """
    found = {weight.use: weight for weight in after}
    missing = [c.weight.name for c in choices if c.weight.use not in found]
    if missing:
        raise ValueError(f"weights are missing from the result: {', '.join(missing)}")
    return [_row(choice, found[choice.weight.use]) for choice in choices]


def _row(choice: Choice, after: Weight) -> dict[str, Any]:
    before = choice.weight
    row: dict[str, Any] = {
        "name": before.name,
        "op": before.op,
        "op_name": before.op_name,
        "operand": before.operand,
        "shape": list(before.shape),
        "elements": before.elements,
        "depthwise": before.depthwise,
        "before": _state(before),
        "after": _state(after),
        "asked": dict(choice.options) if choice.options is not None else None,
        "skipped": choice.skipped,
    }
    if choice.overrides:
        row["overrides"] = list(choice.overrides)
    return row


def _state(weight: Weight) -> dict[str, Any]:
    state: dict[str, Any] = {"stored": weight.stored, "bits": weight.bits, "bytes": weight.bytes}
    if weight.sparsity is not None:
        state["sparsity"] = round(weight.sparsity, 6)
    return state


def totals(layers: Sequence[Mapping[str, Any]], before: int, after: int) -> dict[str, Any]:
    """Sums of the rows; ``before`` and ``after`` are the bytes of the packages."""
    once = list({row["name"]: row for row in layers}.values())  # several operators may share one
    elements = sum(row["elements"] for row in once)
    stored = sum(row["after"]["bytes"] for row in once)
    done = [row for row in once if row["skipped"] is None]
    return {
        "size_mb": after / 1e6,
        "size_before_mb": before / 1e6,
        "ratio": before / after,
        "bits_mean": 8 * stored / max(elements, 1),
        "weights": len(once),
        "compressed": len(done),
        "skipped": len(once) - len(done),
        "compressed_share": sum(row["elements"] for row in done) / max(elements, 1),
    }


def write(
    path: Path, kind: str, layers: Sequence[Mapping[str, Any]], sums: Mapping[str, Any]
) -> None:
    """Write the report as canonical JSON."""
    report = {"version": VERSION, "kind": kind, **sums, "layers": list(layers)}
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
