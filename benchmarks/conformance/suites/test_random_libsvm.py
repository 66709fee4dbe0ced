"""LIBSVM's own predictions on random problems: all four machines and kernels, up to five classes.

The labels of votes are asked of LIBSVM's C function. Its Python function makes room for one
decision of a nu-SVC (svmutil.py of 3.35 tests for NU_SVC where it means NU_SVR), so that three
classes or more overrun the heap.
"""

from __future__ import annotations

from typing import Any

import libsvm
import numpy as np
import pytest

libsvm.__version__ = "3.35.0"  # which the converter asks for, and the package has not

import coremltools as ct
from libsvm import svm, svmutil

DRAWS = range(20)
KERNELS = {"linear": 0, "poly": 1, "rbf": 2, "sigmoid": 3}
C_SVC, NU_SVC, EPSILON_SVR, NU_SVR = 0, 1, 3, 4


def problem(classes: int) -> tuple[Any, Any, list[dict[int, float]]]:
    """Rows, numbers or labels that are not in order, and the rows as LIBSVM takes them: sparse."""
    x = np.random.normal(size=(int(np.random.randint(40, 80)), int(np.random.randint(2, 6))))
    x[np.random.random(x.shape) < 0.2] = 0.0
    x[0] = 1.0  # the greatest index is used
    y = x @ np.random.normal(size=x.shape[1])
    if classes:
        labels = np.random.permutation([1, 2, 5, 90, -3])[:classes]
        y = labels[np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))]
    return x, y, [{i: float(v) for i, v in enumerate(row, 1) if v} for row in x]


def train(machine: int, kernel: str, y: Any, nodes: Any, probability: bool) -> Any:
    options = f"-s {machine} -t {KERNELS[kernel]} -d 3 -r {np.random.random():.3f} -n 0.2 -q"
    options += f" -g {np.random.uniform(0.05, 0.5):.3f} -b {int(probability)}"
    return svmutil.svm_train(svmutil.svm_problem(y.tolist(), nodes), options)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", [EPSILON_SVR, NU_SVR])
def test_random_regressors(machine: int, kernel: str, draw: int) -> None:
    x, y, nodes = problem(0)
    trained = train(machine, kernel, y, nodes, False)
    model = ct.converters.libsvm.convert(trained, "input", "target", input_length=x.shape[1])
    expected, _, _ = svmutil.svm_predict(y.tolist(), nodes, trained, "-q")
    got = [model.predict({"input": row})["target"] for row in x]
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", [C_SVC, NU_SVC])
def test_random_votes(machine: int, kernel: str, classes: int, draw: int) -> None:
    x, y, nodes = problem(classes)
    trained = train(machine, kernel, y, nodes, False)
    names = [f"f{n}" for n in range(x.shape[1])]
    model = ct.converters.libsvm.convert(trained, names, "target")
    expected = [svm.libsvm.svm_predict(trained, svm.gen_svm_nodearray(n)[0]) for n in nodes]
    got = [model.predict(dict(zip(names, row, strict=True)))["target"] for row in x]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", [C_SVC, NU_SVC])
def test_random_probabilities(machine: int, kernel: str, classes: int, draw: int) -> None:
    x, y, nodes = problem(classes)
    trained = train(machine, kernel, y, nodes, True)
    model = ct.converters.libsvm.convert(trained, "input", "target", "p", x.shape[1])
    expected, _, wanted = svmutil.svm_predict(y.tolist(), nodes, trained, "-b 1 -q")
    got = [model.predict({"input": row}) for row in x]
    labels = trained.get_labels()
    scores = [[answer["p"][label] for label in labels] for answer in got]
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-7)
    ordered = np.sort(wanted, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4
    found = np.array([answer["target"] for answer in got])
    np.testing.assert_array_equal(found[clear], np.array(expected)[clear])
