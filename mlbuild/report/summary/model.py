"""What there is to tell of one model beside an earlier one and beside its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mlbuild.errors import EXIT_GATE, EXIT_OK
from mlbuild.execute.inside.metrics import share
from mlbuild.records import Json

EQUAL_DB = 200.0  # stands for equal, as in validate/parity


class FailOn(StrEnum):
    """The least that makes `--check` fail."""

    NEVER = "never"
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_WORSE = ("error", "warning", "note")  # severities, the worst first


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the model, as the job of `mlbuild report` tells it."""

    facts: Mapping[str, Json]  # what `mlbuild inspect --json` tells
    labels: tuple[str, ...] = ()
    findings: tuple[Mapping[str, str], ...] = ()  # what `mlbuild lint --json` tells
    refused: str | None = None  # why the reference runtime does not run it

    @classmethod
    def of(cls, told: Mapping[str, Json]) -> Version:
        """From the job's answer."""
        return cls(told["facts"], tuple(told["labels"]), tuple(told["findings"]), told["refused"])


@dataclass(frozen=True, slots=True)
class Demands:
    """What `--check` asks of a model."""

    fail_on: FailOn = FailOn.ERROR
    min_psnr_db: float | None = None  # to the source


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that a report on a model tells."""

    name: str
    path: str  # as the caller named it
    now: Version
    against: str | None = None  # "main (1a2b3c4)"
    before: Version | None = None
    beside: Mapping[str, Json] | None = None  # both versions on the same samples
    source: str | None = None
    comparison: Mapping[str, Json] | None = None  # what `mlbuild compare --json` tells
    demands: Demands = Demands()
    notes: tuple[str, ...] = field(default=())

    @property
    def psnr_db(self) -> float | None:
        """The worst output's likeness to the source."""
        if self.comparison is None:
            return None
        return worst([output["declared"] for output in self.comparison["outputs"]])

    @property
    def psnr_before_db(self) -> float | None:
        """The worst output's likeness to the earlier version."""
        outputs = (self.beside or {}).get("outputs")
        return worst(outputs) if outputs else None

    @property
    def agreement(self) -> Mapping[str, float] | None:
        """The share of samples that both versions give the same label, with its interval."""
        agreed = (self.beside or {}).get("agreed")
        if agreed is None or self.beside is None:
            return None
        count = self.beside["samples"]
        return share("agreement", agreed / count, count)

    @property
    def failed(self) -> tuple[str, ...]:
        """Which demands it does not meet, as sentences."""
        return tuple(_failures(self))

    @property
    def exit_code(self) -> int:
        """Of `--check`."""
        return EXIT_GATE if self.failed else EXIT_OK


def worst(figures: Sequence[Mapping[str, Json]]) -> float | None:
    """The smallest PSNR of all outputs; `EQUAL_DB` where all are equal, None where none is."""
    known = [_psnr(figure) for figure in figures]
    return min(known, default=None)


def _psnr(figure: Mapping[str, Json]) -> float:
    if figure["nan"] or figure["inf"]:
        return 0.0  # no noise that could be measured, but nothing that could be used either
    if figure["psnr_db"] is not None:
        return min(float(figure["psnr_db"]), EQUAL_DB)
    return EQUAL_DB if figure["max_abs"] == 0 else 0.0


def _failures(model: Model) -> list[str]:
    demands = model.demands
    found = []
    if demands.fail_on is not FailOn.NEVER:
        bad = _WORSE[: _WORSE.index(demands.fail_on) + 1]
        for severity in bad:
            count = sum(f["severity"] == severity for f in model.now.findings)
            if count:
                found.append(f"lint: {count} {severity}{'' if count == 1 else 's'}")
        if model.now.refused:
            found.append(f"it cannot be run: {model.now.refused}")
        if model.comparison and model.comparison["guilty"]:
            found.append(f"an operator is at fault: {model.comparison['guilty']['why']}")
    if demands.min_psnr_db is not None:
        found += _too_far(model.psnr_db, demands.min_psnr_db)
    return found


def _too_far(psnr_db: float | None, least: float) -> list[str]:
    if psnr_db is None:
        return [f"it was not compared with its source, so {least:g} dB cannot be held against it"]
    if psnr_db < least:
        return [f"{psnr_db:.1f} dB to its source is below {least:g} dB"]
    return []


def fresh(
    now: Sequence[Mapping[str, str]], before: Sequence[Mapping[str, str]]
) -> tuple[tuple[Mapping[str, str], ...], tuple[Mapping[str, str], ...]]:
    """Findings that are new, and findings that are gone.

    A finding is the same if rule and place are: its figures may move.
    """
    old = {(f["rule"], f["place"]) for f in before}
    new = {(f["rule"], f["place"]) for f in now}
    came = tuple(f for f in now if (f["rule"], f["place"]) not in old)
    went = tuple(f for f in before if (f["rule"], f["place"]) not in new)
    return came, went
