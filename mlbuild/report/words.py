"""How figures and outcomes are worded, for every report that people read."""

from __future__ import annotations

from collections.abc import Iterable

from mlbuild.records import BuildResult, Outcome, Reason, StageResult


def seconds(value: float) -> str:
    """A duration as people say it."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """A number of bytes in decimal units, as file managers show it."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def reasons(values: Iterable[Reason]) -> str:
    """Reasons in one phrase."""
    return ", ".join(str(r).replace("_", " ") for r in values)


def counts(result: BuildResult) -> str:
    """How many stages ended in which way, without the zeros."""
    shown = [(o, result.count(o)) for o in Outcome]
    return ", ".join(f"{n} {str(o).replace('_', ' ')}" for o, n in shown if n) or "no stages"


def failure_lines(result: StageResult) -> list[str]:
    """A failed stage: message, the stage's own traceback or last lines, and where its log lies."""
    failure = result.failure
    if failure is None:
        return []
    lines = [f"{result.stage}: {failure.message}"]
    shown = list(failure.tail)
    if shown and shown[-1].endswith(failure.message):
        shown = []  # a kind that refuses its input says so itself; what came before is no cause
    if failure.traceback:
        shown = failure.traceback.rstrip().splitlines()
    lines += [f"  | {text}" for text in shown[-25:]]
    if failure.hint:
        lines.append(f"  hint: {failure.hint}")
    if result.log:
        lines.append(f"  log: {result.log}")
    return lines


def artifacts(result: BuildResult, leaves: Iterable[str]) -> list[tuple[str, str]]:
    """(path, size) of what the build's last stages left behind."""
    wanted = set(leaves)
    return [
        (path, size(stage.sizes[name]) if name in stage.sizes else "")
        for stage in result.stages
        if stage.stage in wanted
        for name, path in stage.outputs.items()
        if name not in ("metrics", "plots")
    ]
