"""What a comparison found, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..body import OperatorUse
from .figures import Figures


@dataclass(frozen=True, slots=True)
class Row:
    """One value that stands in both models.

    Attributes:
        operator: What makes it in the candidate.
        value: Its name there.
        reference: Its name in the reference, and where that is made.
        scope: The module or node of the reference.
        declared: Distance when each value is rounded to its declared type.
        float32: Distance when none is: what is left is no float16 rounding of values.
        local: Relative error that the operator makes on the reference's own inputs.
        damage: Relative error of the worst output that this local error alone causes; None
            where the local error is no more than arithmetic.
    """

    operator: OperatorUse
    value: str
    reference: str
    scope: str
    declared: Figures
    float32: Figures
    local: float
    damage: float | None = None


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One output of the model, at both precisions."""

    name: str
    reference: str
    declared: Figures
    float32: Figures


@dataclass(frozen=True, slots=True)
class Guilty:
    """An operator that makes something else of right inputs than the reference.

    Attributes:
        operator: The operator. For what stands outside of the program, the type is ``input``
            (how a picture is laid out) or ``labels`` and the block is ``description``.
        confidence: 0 to 1. Above 0.8 the rest was seen to be right once this one value was.
        why: One sentence.
        cause: ``arithmetic`` (also without rounding), ``float16``, ``input``, ``labels``.
        reference: What should have been computed, with its scope.
        scope: The module or node of the reference.
        local: Relative error that it makes of right inputs.
        damage: Relative error of the worst output that it alone causes.
        doubtful: Others that may be at fault instead: they lie between the last value that
            matches and this one.
    """

    operator: OperatorUse
    confidence: float
    why: str
    cause: str
    reference: str
    scope: str
    local: float
    damage: float
    doubtful: tuple[OperatorUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reference against candidate.

    Attributes:
        guilty: The operator that does most damage; None where nothing is wrong that rounding
            does not explain.
        suspects: All such operators, the most damaging first.
        first: The first value, in the candidate's order, that is further off than rounding of
            constants explains when the model runs as it is (float32); None if there is none.
        rows: Every matched value in the candidate's order.
        outputs: The outputs.
        values: How many values the candidate computes.
    """

    guilty: Guilty | None
    suspects: tuple[Guilty, ...]
    first: Row | None
    rows: tuple[Row, ...]
    outputs: tuple[OutputRow, ...]
    values: int
    samples: int

    def by_damage(self) -> tuple[Row, ...]:
        """The rows, the most damaging first, then by local error."""
        return tuple(sorted(self.rows, key=lambda r: (-(r.damage or 0.0), -r.local)))

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``mlbuild compare --json`` prints it."""
        return {
            "guilty": _guilty(self.guilty) if self.guilty else None,
            "suspects": [_guilty(suspect) for suspect in self.suspects],
            "first": self.first.value if self.first else None,
            "outputs": [
                {
                    "name": row.name,
                    "reference": row.reference,
                    "declared": row.declared.to_json(),
                    "float32": row.float32.to_json(),
                }
                for row in self.outputs
            ],
            "rows": [_row(row) for row in self.by_damage()],
            "values": self.values,
            "matched": len(self.rows),
            "samples": self.samples,
        }


def _row(row: Row) -> dict[str, Any]:
    return {
        "value": row.value,
        "operator": _operator(row.operator),
        "reference": row.reference,
        "scope": row.scope,
        "declared": row.declared.to_json(),
        "float32": row.float32.to_json(),
        "local": _finite(row.local),
        "damage": _finite(row.damage),
    }


def _guilty(guilty: Guilty) -> dict[str, Any]:
    return {
        "operator": _operator(guilty.operator),
        "confidence": guilty.confidence,
        "why": guilty.why,
        "cause": guilty.cause,
        "reference": guilty.reference,
        "scope": guilty.scope,
        "local": _finite(guilty.local),
        "damage": _finite(guilty.damage),
        "doubtful": [_operator(use) for use in guilty.doubtful],
    }


def _operator(use: OperatorUse) -> dict[str, Any]:
    return {
        "type": use.type,
        "opset": use.opset,
        "block": use.block,
        "index": use.index,
        "outputs": [name for name, _ in use.outputs],
        "types": [text for _, text in use.outputs],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None
