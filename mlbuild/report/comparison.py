"""What a comparison of two models found, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_comparison(facts: Mapping[str, Any], rows: int) -> str:
    """The answer of `mlbuild compare`.

    Args:
        facts: what `mlbuild.coreml.compare.Comparison.to_json` returns.
        rows: how many values to list, the most damaging first.
    """
    lines = [
        f"{facts['matched']} of {facts['values']} values found in the reference, "
        f"{facts['samples']} samples"
    ]
    for output in facts["outputs"]:
        lines.append(
            f"output {output['name']}: {_psnr(output['declared'])} as declared, "
            f"{_psnr(output['float32'])} without rounding values to float16"
        )
    if facts["rows"] and rows:
        lines += ["", *_table(facts["rows"][:rows])]
    return "\n".join([*lines, "", *_verdict(facts)])


def _verdict(facts: Mapping[str, Any]) -> list[str]:
    guilty = facts["guilty"]
    if guilty is None:
        return ["no operator is at fault: what differs, rounding and compression explain"]
    use = guilty["operator"]
    makes = ", ".join(use["outputs"])
    name, where = _called(use)
    lines = [f"guilty: {name} (makes {makes}; {where})", f"  {guilty['why']}"]
    if guilty["scope"]:
        lines.append(f"  in the reference: {guilty['reference']}")
    lines.append(
        f"  damage to the outputs: {_share(guilty['damage'])}, "
        f"confidence {guilty['confidence']:.0%}, cause: {guilty['cause']}"
    )
    if guilty["doubtful"]:
        others = ", ".join(f"{u['type']} {', '.join(u['outputs'])}" for u in guilty["doubtful"])
        lines.append(f"  or one of: {others}")
    further = len(facts["suspects"]) - 1
    if further:
        lines.append(f"  {further} more: see --json")
    return lines


def _called(use: Mapping[str, Any]) -> tuple[str, str]:
    """An operator's name and where it stands; only those of ML Programs have an opset."""
    if not use["opset"]:
        return use["type"], use["block"]
    if use["opset"].startswith("specification"):
        return use["type"], use["block"] or "the model itself"
    return f"{use['opset']}.{use['type']}", f"operation {use['index']} of {use['block']}"


def _table(rows: list[Mapping[str, Any]]) -> list[str]:
    cells = [("operator", "value", "damage", "local", "declared", "float32", "reference")]
    for row in rows:
        cells.append(
            (
                row["operator"]["type"],
                row["value"],
                _share(row["damage"]) if row["damage"] is not None else "-",
                _share(row["local"]),
                _psnr(row["declared"]),
                _psnr(row["float32"]),
                row["reference"],
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    return [
        "  ".join([*(f"{text:{w}}" for text, w in zip(line[:6], widths, strict=True)), line[6]])
        for line in cells
    ]


def _psnr(figures: Mapping[str, Any]) -> str:
    if figures["nan"] or figures["inf"]:
        return f"{figures['nan']} NaN, {figures['inf']} inf"
    if figures["psnr_db"] is not None:
        return f"{figures['psnr_db']:.1f} dB"
    return "equal" if figures["max_abs"] == 0 else "nothing alike"


def _share(value: float | None) -> str:
    return "beyond all" if value is None else f"{value:.2%}"
