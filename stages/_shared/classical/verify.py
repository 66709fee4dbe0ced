"""The written model against the library that trained it, row by row, by the reference runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .graph import ARRAY, TEXT, Value
from .outputs import End
from .reference import Expected, Rows

TOLERANCE = 1e-5  # of the greatest number of an output: float32 has 7 digits, sums lose one or two


@dataclass(frozen=True)
class Figures:
    """How well they agree.

    Attributes:
        rows: compared.
        difference: the greatest, as a share of each output's greatest number.
        agreed: labels that are equal; others stood on the border of two.
    """

    rows: int
    difference: float
    agreed: int


class Disagreement(Problem):
    """The model that was written says something else than the library."""


def ask(package: Path, inputs: Sequence[Value], rows: Rows) -> list[dict[str, Any]]:
    """What the model says of each row; what is missing is left out where that is allowed."""
    from mlbuild.coreml import load  # the stage has it on its path, the engine does not need it

    model = load(package)
    return [model.predict(_inputs(inputs, row)) for row in rows]


def _inputs(inputs: Sequence[Value], row: Any) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for value in inputs:
        found = row[value.name]
        if value.kind == TEXT and not isinstance(found, str):
            continue  # a text that is missing is left out
        if value.optional and isinstance(found, float) and np.isnan(found):
            continue
        given[value.name] = np.asarray(found, np.float64) if value.kind == ARRAY else found
    return given


def compare(answers: Sequence[dict[str, Any]], expected: Expected, end: End, rows: Rows) -> Figures:
    """Hold answers against what the library says.

    Raises:
        Disagreement: an output is further off than the tolerance, or a label is another one.
    """
    worst, agreed = 0.0, len(rows)
    for name, gives in end.gives:
        if gives in ("label", "cluster") and name not in ("anomaly",):
            agreed = _labels(name, answers, expected, end, rows)
        elif name == "anomaly":
            _anomalies(answers, expected, rows)
        elif gives in expected.values:
            wanted = np.asarray(expected.values[gives], float)
            got = np.array([_numbers(a[name], end.labels) for a in answers])
            whole = 1.0 if gives == "probabilities" else None
            worst = max(worst, _numbers_agree(name, got, wanted.reshape(got.shape), rows, whole))
            if gives == "probabilities":
                _sum_to_one(name, got, wanted.reshape(got.shape))
    return Figures(len(rows), worst, agreed)


def _numbers(found: Any, labels: Sequence[Any]) -> Any:
    if isinstance(found, dict):
        return np.array([found[label] for label in labels])
    return np.ravel(np.asarray(found, float))


def _numbers_agree(name: str, got: Any, wanted: Any, rows: Rows, whole: float | None) -> float:
    """The greatest difference as a share of ``whole``, or of each column's greatest number."""
    finite = np.isfinite(wanted)
    if not np.array_equal(np.isnan(got), np.isnan(wanted)):
        row = int(np.flatnonzero((np.isnan(got) != np.isnan(wanted)).any(axis=1))[0])
        raise _off(name, got[row], wanted[row], rows[row])
    scale = np.abs(np.where(finite, wanted, 0.0)).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0) if whole is None else whole
    with np.errstate(invalid="ignore"):
        off = np.where(finite, np.abs(got - wanted) / scale, np.where(got == wanted, 0.0, np.inf))
    off = np.where(np.isnan(wanted), 0.0, off)
    row = int(off.max(axis=1).argmax()) if off.size else 0
    if off.size and off.max() > TOLERANCE:
        raise _off(name, got[row], wanted[row], rows[row])
    return float(off.max()) if off.size else 0.0


def _off(name: str, got: Any, wanted: Any, row: Any) -> Disagreement:
    size = np.maximum(np.abs(wanted), 1e-300)
    place = int(np.argmax(np.nan_to_num(np.abs(got - wanted) / size, nan=np.inf)))
    return Disagreement(
        f"the Core ML model's '{name}' is {got[place]:.8g} where the library says "
        f"{wanted[place]:.8g}",
        hint=f"nothing was written; the row was {_shown(row)}",
    )


def _sum_to_one(name: str, got: Any, wanted: Any) -> None:
    """Where the library's probabilities sum to 1, so do these."""
    sums = got.sum(axis=1)
    if np.allclose(wanted.sum(axis=1), 1.0, atol=1e-6) and np.abs(sums - 1).max() > TOLERANCE:
        raise Disagreement(f"the probabilities in '{name}' sum to {sums[0]:.6g}, not to 1")


def _labels(
    name: str, answers: Sequence[dict[str, Any]], expected: Expected, end: End, rows: Rows
) -> int:
    if name == "cluster":
        wanted = [int(c) for c in expected.values["cluster"]]
    else:
        wanted = [end.labels[place] for place in expected.values["label"]]
    agreed = 0
    for row, (answer, label) in enumerate(zip(answers, wanted, strict=True)):
        if answer[name] == label:
            agreed += 1
        elif not _on_border(expected, row, answer[name], label, end.labels):
            raise Disagreement(
                f"the Core ML model says '{answer[name]}' where the library says '{label}'",
                hint=f"nothing was written; the row was {_shown(rows[row])}",
            )
    return agreed


def _on_border(expected: Expected, row: int, got: Any, wanted: Any, labels: Any) -> bool:
    """Whether the two are equally good as far as float32 can tell."""
    for numbers in expected.deciding:
        places = [list(labels).index(v) if labels else int(v) for v in (got, wanted)]
        if max(places) >= numbers.shape[1]:
            continue
        scale = max(1.0, float(np.abs(numbers).max()))
        if abs(numbers[row][places[0]] - numbers[row][places[1]]) <= 2 * TOLERANCE * scale:
            return True
    return False


def _anomalies(answers: Sequence[dict[str, Any]], expected: Expected, rows: Rows) -> None:
    scores = np.ravel(expected.values["score"])
    scale = max(float(np.abs(scores).max()), 1e-300)
    for row, answer in enumerate(answers):
        wanted = int(expected.values["anomaly"][row])
        if answer["anomaly"] != wanted and abs(scores[row]) > TOLERANCE * scale:
            raise Disagreement(
                f"the Core ML model says anomaly {answer['anomaly']} where the library says "
                f"{wanted}",
                hint=f"nothing was written; the row was {_shown(rows[row])}",
            )


def _shown(row: Any) -> str:
    text = ", ".join(f"{name}: {value}" for name, value in list(row.items())[:8])
    return text[:300]
