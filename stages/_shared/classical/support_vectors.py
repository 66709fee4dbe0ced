"""Core ML's support vector models, for LIBSVM and for scikit-learn, whose models are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import vectorize
from .ensemble import write_labels
from .frame import Frame
from .graph import DOUBLE, INT64, TEXT, Value
from .kernels import write_kernel


@dataclass(frozen=True)
class Machine:
    """A trained machine, as LIBSVM writes it.

    Attributes:
        kernel: "linear", "poly", "rbf" or "sigmoid".
        vectors: float64 [n, d], those of each class together.
        weights: float64 [classes - 1, n]; [1, n] for regression and one class.
        rho: one for each pair of classes, or one.
        counts: vectors of each class.
        prob_a: with prob_b, one for each pair, or None.
    """

    kernel: Any
    gamma: float
    coef0: float
    degree: int
    vectors: Any
    weights: Any
    rho: Any
    counts: Any = ()
    prob_a: Any = None
    prob_b: Any = None


def decision(frame: Frame, machine: Machine) -> Value:
    """Weights times kernels, less rho: a number."""
    target = frame.graph.single("decision", DOUBLE)

    def fill(spec: Any) -> None:
        part = spec.supportVectorRegressor
        _write_vectors(part, machine)
        part.coefficients.alpha.extend(np.ravel(machine.weights).tolist())
        part.rho = float(np.ravel(machine.rho)[0])
        spec.description.predictedFeatureName = target.name

    frame.graph.model("supportVectorRegressor", frame.parts(), [target], fill)
    return target


def kernel_sums(
    frame: Frame, kernel: str, gamma: float, coef0: float, degree: int, points: Any, weights: Any,
    offsets: Any,
) -> Value:  # fmt: skip
    """``weights @ kernel(points, x) + offsets`` in doubles, by a machine for each row.

    Args:
        frame: the columns.
        kernel: "linear", "poly", "rbf" or "sigmoid".
        gamma: of all but linear.
        coef0: of poly and sigmoid.
        degree: of poly.
        points: float64 [n, d].
        weights: float64 [rows, n].
        offsets: float64 [rows].
    """
    sums = [
        decision(frame, Machine(kernel, gamma, coef0, degree, points, row[None, :], [-offset]))
        for row, offset in zip(weights, offsets, strict=True)
    ]
    return vectorize(frame.graph, sums)


def classify(
    frame: Frame, machine: Machine, labels: Sequence[Any], probable: bool
) -> tuple[Value, Value | None]:
    """The label, by votes or by probabilities; and those."""
    graph = frame.graph
    label = graph.single("label", TEXT if isinstance(labels[0], str) else INT64)
    scores = graph.scores("scores", labels) if probable else None

    def fill(spec: Any) -> None:
        part = spec.supportVectorClassifier
        _write_vectors(part, machine)
        part.numberOfSupportVectorsPerClass.extend(int(n) for n in machine.counts)
        for row in machine.weights:
            part.coefficients.add().alpha.extend(row.tolist())
        part.rho.extend(np.ravel(machine.rho).tolist())
        write_labels(part, labels)
        spec.description.predictedFeatureName = label.name
        if scores is not None:
            part.probA.extend(np.ravel(machine.prob_a).tolist())
            part.probB.extend(np.ravel(machine.prob_b).tolist())
            spec.description.predictedProbabilitiesName = scores.name

    outputs = [label] if scores is None else [label, scores]
    graph.model("supportVectorClassifier", frame.parts(), outputs, fill, classifies=True)
    return label, scores


def _write_vectors(part: Any, machine: Machine) -> None:
    write_kernel(part.kernel, machine.kernel, machine.gamma, machine.coef0, machine.degree)
    part.denseSupportVectors.SetInParent()
    for vector in np.asarray(machine.vectors, np.float64):
        part.denseSupportVectors.vectors.add().values.extend(vector.tolist())
