"""Who notices a fault: `validate/parity` by its default gates, `compare`; and what is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from mlbuild.stages._shared.parity.samples import Reader, find
from mlbuild.stages._shared.problem.problem import Problem
from mlbuild.stages.validate.parity.run import judge

from benchmarks.conversion.faults import Site
from benchmarks.conversion.nets import Net
from benchmarks.conversion.program import Program
from benchmarks.conversion.sources import TorchSource, inputs
from mlbuild.coreml import CoreMLError, ExecutionError, load
from mlbuild.coreml.compare import TorchReference, compare

_FRESH_SEED = 977  # of inputs that parity never sees
_FRESH = 24
_SAME = 2e-6  # of the range: float32 sums in another order differ by less


@dataclass(frozen=True)
class Verdict:
    """Whether something is wrong, and why one thinks so."""

    wrong: bool
    why: str
    beside: bool = False  # named is a neighbour of an operator that is missing


class _Job(SimpleNamespace):
    """What the kind's code needs of a job: its default parameters, and nowhere to report to."""

    def __init__(self) -> None:
        # As spec.py has them; the toolchain has no pydantic to read it with.
        how = {"precision": "declared", "scaling": "centerCrop", "topk": 5, "outputs": {}}
        super().__init__(params=SimpleNamespace(**how))

    def progress(self, *_: Any) -> None:
        """Nobody looks."""

    def log(self, text: str) -> None:
        """Nobody looks."""


def parity(net: Net, source: TorchSource, package: Path, samples: Path) -> Verdict:
    """What ``validate/parity`` says with its default gates."""
    try:
        compared = judge(_Job(), source, package, find(samples), Reader(skip=False))
    except Problem as problem:
        return Verdict(True, f"fails: {str(problem).splitlines()[0]}")
    wrong = compared.margin_db < 0  # the kind's own gate: margin_db min 0
    return Verdict(wrong, f"margin {compared.margin_db:.1f} dB")


class Truth:
    """The undamaged model on inputs of its own, to tell damage that changes nothing.

    Independent of what is judged: other inputs, three times as many, no torch, no gate, and either
    arithmetic. A fault is none if the bytes are the same, or if float32 arithmetic gives the same
    numbers but for the order of summation and declared arithmetic gives none that differ by more
    than its own rounding.
    """

    def __init__(self, net: Net, package: Path) -> None:
        self.original = Program(package)
        self.inputs = inputs(net, _FRESH_SEED, _FRESH)
        self.exact = _answers(package, "float32", self.inputs)
        self.declared = _answers(package, "declared", self.inputs)

    def unchanged(self, damaged: Program, package: Path) -> str:
        """Why the fault is none; empty if it is one."""
        if damaged.same(self.original):
            return "the same bytes"
        try:
            exact = _answers(package, "float32", self.inputs)
            declared = _answers(package, "declared", self.inputs)
        except CoreMLError:
            return ""
        span = float(np.ptp(self.exact)) or 1.0
        if exact.shape != self.exact.shape or _off(exact, self.exact) > _SAME * span:
            return ""
        rounding = _off(self.declared, self.exact)
        if _off(declared, self.declared) > 3 * rounding + _SAME * span:
            return ""
        return "the same numbers"


def _off(one: np.ndarray, other: np.ndarray) -> float:
    error = np.abs(one - other)
    return float(error.max()) if np.isfinite(error).all() else np.inf


def _answers(package: Path, precision: str, given: list[dict[str, Any]]) -> np.ndarray:
    model = load(package, precision=precision)
    return np.stack([_numbers(model.predict(one)) for one in given])


def _numbers(outputs: dict[str, Any]) -> np.ndarray:
    parts = []
    for name, value in sorted(outputs.items()):
        if isinstance(value, dict):  # by label: another order of labels is another answer
            parts.append(np.array([v for _, v in sorted(value.items())], dtype=np.float64))
        elif isinstance(value, np.ndarray):
            parts.append(value.astype(np.float64).reshape(-1))
        assert value is not None, name
    return np.concatenate(parts)


def named(net: Net, source: TorchSource, package: Path, site: Site) -> Verdict:
    """Whether ``compare`` accuses the operator that was damaged, or one next to where it was."""
    try:
        guilty = guilty_of(net, source, package)
    except ExecutionError as error:  # it cannot even be run: no operator is told apart
        return Verdict(False, str(error).split("\n")[0])
    if guilty is None:
        return Verdict(False, "nobody is accused")
    names = {name for name, _ in guilty.operator.outputs}
    told = f"{guilty.operator.type} {', '.join(sorted(names))}"
    exact, beside = names & {site.place, *site.also}, names & set(site.beside)
    return Verdict(bool(exact or beside), told, beside=bool(beside and not exact))


def guilty_of(net: Net, source: TorchSource, package: Path) -> Any:
    """Whom ``compare`` accuses, on three inputs."""
    prepare = None
    if source.preprocessing is not None:
        fit = source.preprocessing.preprocess

        def prepare(sample: Any) -> Any:
            return fit(sample["image"])[None]

    reference = TorchReference(source.module, prepare, labels=source.labels)
    return compare(reference, package, inputs(net, 1, 3)).guilty
