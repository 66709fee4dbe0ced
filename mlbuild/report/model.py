"""What is inside a Core ML model, as text: interface, operators, weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbuild.report import words


def describe_model(facts: Mapping[str, Any], rows: int) -> str:
    """The answer of `mlbuild inspect`, the `rows` largest weights last.

    Args:
        facts: what `mlbuild.coreml.summarize` returns.
        rows: how many weights to list.
    """
    target = f", needs {facts['target']}" if facts.get("target") else ""
    lines = [
        f"{facts['type']}, specification version {facts['spec_version']}{target}, "
        f"{words.size(facts['size_bytes'])}",
        *(f"input   {f['name']}: {f['type']}" for f in facts["inputs"]),
        *(f"output  {f['name']}: {f['type']}" for f in facts["outputs"]),
    ]
    if facts.get("labels"):
        lines.append(f"labels  {facts['labels']}")
    metadata = dict(facts["metadata"])
    metadata |= metadata.pop("user_defined", {})
    lines += [f"{k}: {v}" for k, v in sorted(metadata.items()) if v]
    if "operators" in facts:
        counted = sorted(facts["operators"].items(), key=lambda item: (-item[1], item[0]))
        lines.append("operators: " + ", ".join(f"{count} {name}" for name, count in counted))
        lines += _totals(facts)
        lines += _weights(facts["weights"], rows)
    lines += _figures(facts)
    return "\n".join(lines)


def _totals(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"parameters: {facts['parameters']:,} in {words.size(facts['weight_bytes'])}"]
    if "multiply_adds" in facts:
        open_ = len(facts["uncounted"])
        more = f", without {open_} operators of unknown shapes" if open_ else ""
        lines.append(f"multiply-adds: {facts['multiply_adds']:,}{more}")
        place = f", at {facts['peak_at']}" if facts["peak_at"] else ""
        lines.append(f"memory of values at its peak: {words.size(facts['peak_bytes'])}{place}")
    elif "cost_unknown" in facts:
        lines.append(f"multiply-adds: unknown, {facts['cost_unknown']}")
    return lines


_FIGURES = ("trees", "nodes", "support_vectors", "coefficients", "samples", "dimensions")


def _figures(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"{name.replace('_', ' ')}: {facts[name]:,}" for name in _FIGURES if name in facts]
    for number, model in enumerate(facts.get("models", ())):
        inside = ", ".join(_figures(model)) or ", ".join(
            f"{count} {name}" for name, count in model.get("operators", {}).items()
        )
        lines.append(f"model {number}: {model['type']}" + (f" ({inside})" if inside else ""))
    return lines


def _weights(weights: list[Mapping[str, Any]], rows: int) -> list[str]:
    if not weights or not rows:
        return []
    largest = sorted(weights, key=lambda w: (-w["bytes"], w["layer"]))[:rows]
    width = max(len(w["layer"]) for w in largest)
    lines = [f"weights: {len(weights)}, the largest:"]
    for weight in largest:
        shape = "x".join(map(str, weight["shape"]))
        how = "+".join(weight["compression"]) or weight["dtype"]
        lines.append(
            f"  {weight['layer']:{width}}  {weight['operator']:8}  {shape:>16}  {how:14} "
            f"{weight['bits']:>2} bits  {words.size(weight['bytes']):>10}"
        )
    return lines
