"""LIBSVM's models, read from their text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .frame import Frame
from .graph import Value
from .support_vectors import Machine, classify, decision

CLASSIFIERS, REGRESSORS, ONE_CLASS = ("c_svc", "nu_svc"), ("epsilon_svr", "nu_svr"), "one_class"
_KERNELS = {"linear": "linear", "polynomial": "poly", "rbf": "rbf", "sigmoid": "sigmoid"}


@dataclass(frozen=True)
class SvmText:
    """A model as the file has it.

    Attributes:
        kind: "c_svc", "nu_svc", "one_class", "epsilon_svr" or "nu_svr".
        labels: of a classifier, in the file's order.
        machine: what it computes.
    """

    kind: str
    labels: tuple[int, ...]
    machine: Machine

    @property
    def probable(self) -> bool:
        """Whether a classifier has probabilities."""
        return self.kind in CLASSIFIERS and self.machine.prob_a is not None

    @property
    def width(self) -> int:
        """The number of features that are named."""
        return int(self.machine.vectors.shape[1])


def read(path: Path, width: int | None = None) -> SvmText:
    """Parse the text; ``width`` features, or as many as it names.

    Raises:
        Problem: it is no model of LIBSVM, or its kernel is not mapped.
    """
    facts: dict[str, list[str]] = {}
    rows: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#"):
            continue
        if "SV" in facts:
            rows.append(line)
            continue
        name, *values = line.split() or [""]
        facts[name] = values
    if "svm_type" not in facts or "SV" not in facts:
        raise Problem(f"{path.name} is no model of LIBSVM")
    kind, kernel = facts["svm_type"][0], facts["kernel_type"][0]
    if kernel not in _KERNELS:
        raise Problem(
            f"LIBSVM's kernel {kernel} has no counterpart in Core ML",
            hint=f"mapped are {', '.join(_KERNELS)}",
        )
    weights, vectors = _vectors(rows, width)
    machine = Machine(
        kernel=_KERNELS[kernel],
        gamma=_number(facts, "gamma", 0.0),
        coef0=_number(facts, "coef0", 0.0),
        degree=int(_number(facts, "degree", 3)),
        vectors=vectors,
        weights=weights,
        rho=_numbers(facts, "rho"),
        counts=[int(n) for n in facts.get("nr_sv", [])],
        prob_a=_numbers(facts, "probA") if "probA" in facts and "probB" in facts else None,
        prob_b=_numbers(facts, "probB") if "probB" in facts else None,
    )
    return SvmText(kind, tuple(int(n) for n in facts.get("label", [])), machine)


def _number(facts: dict[str, list[str]], name: str, default: float) -> float:
    return float(facts[name][0]) if name in facts else default


def _numbers(facts: dict[str, list[str]], name: str) -> Any:
    return np.array([float(v) for v in facts[name]])


def _vectors(rows: Sequence[str], width: int | None) -> tuple[Any, Any]:
    """Weights [classes - 1, n] and vectors [n, width]."""
    weights, nodes = [], []
    for row in rows:
        words = row.split()
        weights.append([float(w) for w in words if ":" not in w])
        nodes.append(
            [(int(k), float(v)) for k, _, v in (w.partition(":") for w in words if ":" in w)]
        )
    named = max((index for row in nodes for index, _ in row), default=1)
    if width is not None and named > width:
        raise Problem(f"the LIBSVM model has {named} features, there are columns for {width}")
    vectors = np.zeros((len(nodes), width or named))
    for place, row in enumerate(nodes):
        for index, value in row:
            vectors[place, index - 1] = value
    return np.array(weights).T.reshape(-1, len(nodes)), vectors


def number(model: SvmText, frame: Frame) -> Value:
    """A regressor's prediction, or the decision of one class."""
    return decision(frame, model.machine)


def labelled(model: SvmText, frame: Frame, labels: Sequence[Any]) -> tuple[Value, Value | None]:
    """A classifier's label, and its probabilities where it was trained for them.

    With them LIBSVM's label is the most probable one, as Core ML's.
    """
    return classify(frame, model.machine, labels, model.probable)
