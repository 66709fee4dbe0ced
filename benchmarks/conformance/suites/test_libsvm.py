"""LIBSVM's own predictions for its support vector machines."""

import coremltools as ct
import libsvm
import numpy as np
import pytest
from libsvm import svm, svmutil
from sklearn.datasets import load_diabetes, load_iris, load_wine

libsvm.__version__ = "3.35"  # the converter asks for it, the package does not say
KERNELS = {"linear": 0, "poly": 1, "rbf": 2, "sigmoid": 3}
KINDS = {"c-svc": 0, "nu-svc": 1, "epsilon-svr": 3, "nu-svr": 4}
ROWS = 25


def train(kind, kernel, data, target, scores):
    problem = svmutil.svm_problem(list(map(float, target)), data.tolist())
    options = f"-s {KINDS[kind]} -t {KERNELS[kernel]} -d 3 -r 0.4 -g 0.05 -c 3 -n 0.15 -q"
    return svmutil.svm_train(problem, f"{options} -b {int(scores)}")


def scaled(load):
    found = load()
    data = found.data
    data = (data - data.mean(0)) / data.std(0)
    return data.astype(np.float32).astype(np.float64), found.target


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["epsilon-svr", "nu-svr"])
def test_regressor(kind, kernel, draw):
    data, target = scaled(load_diabetes)
    target = target / 100
    kept = np.random.permutation(len(data))[:150]
    model = train(kind, kernel, data[kept], target[kept], False)
    converted = ct.converters.libsvm.convert(model, "input", "answer", input_length=10)
    chosen = np.random.permutation(len(data))[:ROWS]
    answers = [converted.predict({"input": data[r]})["answer"] for r in chosen]
    expected, _, _ = svmutil.svm_predict([0.0] * ROWS, data[chosen].tolist(), model, "-q")
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("draw", range(2))
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["c-svc", "nu-svc"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classifier(classes, kind, kernel, scores, draw):
    data, target = scaled(load_wine if draw else load_iris)
    data, target = data[target < classes], target[target < classes]
    kept = np.random.permutation(len(data))[:90]
    model = train(kind, kernel, data[kept], target[kept], scores)
    converted = ct.converters.libsvm.convert(
        model, "input", "answer", "scores", input_length=data.shape[1]
    )
    chosen = np.random.permutation(len(data))[:ROWS]
    answers = [converted.predict({"input": data[r]}) for r in chosen]
    if scores:
        _, _, values = svmutil.svm_predict([0.0] * ROWS, data[chosen].tolist(), model, "-q -b 1")
        order = model.get_labels()
        given = [[a["scores"][label] for label in order] for a in answers]
        np.testing.assert_allclose(given, values, atol=1e-4)
    else:
        # svmutil's own function makes room for one decision of a nu-SVC, three classes need more.
        nodes = [svm.gen_svm_nodearray(row.tolist())[0] for row in data[chosen]]
        labels = [svm.libsvm.svm_predict(model, node) for node in nodes]
        np.testing.assert_array_equal([a["answer"] for a in answers], labels)
