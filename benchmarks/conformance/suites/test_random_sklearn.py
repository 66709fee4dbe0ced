"""scikit-learn's own predictions for everything that its converter writes, on random problems.

A case is an estimator with random settings, fitted to a random problem; each of its rows is
predicted by scikit-learn and by the converted model. Numbers come from numpy's global generator,
which the harness seeds for each case.
"""

from __future__ import annotations

from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.models.datatypes import Array
from sklearn import ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer

DRAWS = range(20)
KERNELS = ("linear", "rbf", "poly", "sigmoid")


def columns() -> int:
    return int(np.random.randint(1, 9))


def rows(count: int, width: int) -> Any:
    """Numbers that float32 holds, since scikit-learn's trees compare in float32."""
    x = np.random.normal(size=(count, width)) * np.random.choice([0.1, 1.0, 20.0])
    return x.astype(np.float32).astype(float)


def problem(classes: int = 0) -> tuple[Any, Any]:
    """A random problem: numbers to predict, or classes with integers or strings as labels."""
    x = rows(int(np.random.randint(30, 80)), columns())
    y = np.tanh(x / x.std()) @ np.random.normal(size=x.shape[1])
    y += 0.2 * np.random.normal(size=len(x))
    if not classes:
        return x, y
    numbers = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    names = np.array([f"class {n}" for n in range(classes)])
    return x, names[numbers] if np.random.random() < 0.5 else numbers * 3 - 1


def answers(model: Any, x: Any) -> list[dict[str, Any]]:
    return [model.predict({"input": row}) for row in x]


REGRESSORS = {
    "LinearRegression": lambda: linear_model.LinearRegression(
        fit_intercept=np.random.random() < 0.7
    ),
    "Ridge": lambda: linear_model.Ridge(alpha=np.random.exponential()),
    "LinearSVR": lambda: svm.LinearSVR(C=np.random.exponential()),
    **{f"SVR-{k}": lambda k=k: svm.SVR(kernel=k, C=np.random.exponential()) for k in KERNELS},
    **{f"NuSVR-{k}": lambda k=k: svm.NuSVR(kernel=k, coef0=np.random.random()) for k in KERNELS},
    "DecisionTree": lambda: tree.DecisionTreeRegressor(max_depth=np.random.randint(1, 9)),
    "RandomForest": lambda: ensemble.RandomForestRegressor(
        np.random.randint(1, 12), max_depth=np.random.randint(1, 7)
    ),
    "GradientBoosting": lambda: ensemble.GradientBoostingRegressor(
        n_estimators=np.random.randint(1, 15)
    ),
    "GradientBoosting-huber": lambda: ensemble.GradientBoostingRegressor(
        n_estimators=np.random.randint(1, 15), loss="huber"
    ),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("name", REGRESSORS)
def test_random_regressors(name: str, draw: int) -> None:
    x, y = problem()
    fitted = REGRESSORS[name]().fit(x, y)
    model = ct.converters.sklearn.convert(fitted, "input", "target")
    got = [answer["target"] for answer in answers(model, x)]
    expected = fitted.predict(x)
    if name == "GradientBoosting-huber":
        # The converter writes the quantile, 0.5, where the fitted constant belongs.
        expected = expected + 0.5 - fitted.init_.constant_.item()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


CLASSIFIERS = {
    "LogisticRegression": lambda: linear_model.LogisticRegression(
        multi_class="ovr", C=np.random.exponential(), fit_intercept=np.random.random() < 0.7
    ),
    "DecisionTree": lambda: tree.DecisionTreeClassifier(max_depth=np.random.randint(1, 7)),
    "RandomForest": lambda: ensemble.RandomForestClassifier(
        np.random.randint(1, 12), max_depth=np.random.randint(1, 6)
    ),
    "GradientBoosting": lambda: ensemble.GradientBoostingClassifier(
        n_estimators=np.random.randint(1, 9)
    ),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_random_classifiers(name: str, classes: int, draw: int) -> None:
    x, y = problem(classes)
    fitted = CLASSIFIERS[name]().fit(x, y)
    model = ct.converters.sklearn.convert(fitted, "input", "label")
    # The converter does not divide by the number of trees if there are more than two classes.
    scale = len(fitted.estimators_) if name == "RandomForest" and classes > 2 else 1
    # Leaves of one half are moved by 1e-7, each by itself.
    compare(answers(model, x), fitted, x, scale=scale, tolerance=2e-6)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", ["SVC", "NuSVC"])
def test_random_support_vector_votes(machine: str, kernel: str, classes: int, draw: int) -> None:
    x, y = problem(classes)
    settings = {"kernel": kernel, "coef0": np.random.random(), "degree": np.random.randint(1, 5)}
    nu = {"nu": 0.1} if machine == "NuSVC" else {}
    fitted = getattr(svm, machine)(**settings, **nu).fit(x, y)
    model = ct.converters.sklearn.convert(fitted, "input", "label")
    got = [answer["label"] for answer in answers(model, x)]
    expected = fitted.predict(x)
    np.testing.assert_array_equal(np.array(got) == expected, np.ones(len(x)))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize("kernel", KERNELS)
def test_random_support_vector_probabilities(kernel: str, classes: int, draw: int) -> None:
    # Of two classes scikit-learn gives other probabilities than the converted model means, as
    # the converter warns; test_random_libsvm.py compares these.
    x, y = problem(classes)
    fitted = svm.SVC(kernel=kernel, probability=True, C=np.random.exponential()).fit(x, y)
    model = ct.converters.sklearn.convert(fitted, "input", "label")
    probable = fitted.classes_[fitted.predict_proba(x).argmax(axis=1)]
    compare(answers(model, x), fitted, x, probable, tolerance=1e-9)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("classes", [2, 4])
def test_random_linear_support_vector_labels(classes: int, draw: int) -> None:
    x, y = problem(classes)
    fitted = svm.LinearSVC().fit(x, y)
    fitted.multi_class = "ovr"
    model = ct.converters.sklearn.convert(fitted, "input", "label")
    got = [answer["label"] for answer in answers(model, x)]
    np.testing.assert_array_equal(np.array(got) == fitted.predict(x), np.ones(len(x)))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_random_nearest_neighbours(algorithm: str, draw: int) -> None:
    x, _ = problem()
    y = np.random.randint(0, 4, len(x))
    y[:4] = range(4)  # the converter writes positions of labels, not the labels
    fitted = neighbors.KNeighborsClassifier(np.random.randint(1, 8), algorithm=algorithm).fit(x, y)
    model = ct.converters.sklearn.convert(fitted, "input", "label")
    points = x + 0.1 * np.random.normal(size=x.shape).astype(np.float32)
    points = points.astype(np.float32).astype(float)
    got = [answer["label"] for answer in answers(model, points)]
    np.testing.assert_array_equal(got, fitted.predict(points))


TRANSFORMERS = {
    "StandardScaler": lambda: preprocessing.StandardScaler(),
    "Normalizer-l1": lambda: preprocessing.Normalizer("l1"),
    "Normalizer-l2": lambda: preprocessing.Normalizer("l2"),
    "Normalizer-max": lambda: preprocessing.Normalizer("max"),
    "Imputer-mean": lambda: SimpleImputer(),
    "Imputer-median": lambda: SimpleImputer(strategy="median"),
    "Imputer-value": lambda: SimpleImputer(missing_values=-1.0, strategy="most_frequent"),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_random_transformers(name: str, draw: int) -> None:
    x, _ = problem()
    if name == "Normalizer-max":  # the specification's is without absolute values
        x = np.abs(x)
    if name.startswith("Imputer"):
        holes = np.random.random(x.shape) < 0.3
        holes[0] = False
        x[holes] = -1.0 if name.endswith("value") else np.nan
    fitted = TRANSFORMERS[name]().fit(x)
    features = [("input", Array(x.shape[1]))]
    model = ct.converters.sklearn.convert(fitted, features, "output")
    got = [answer["output"] for answer in answers(model, x)]
    np.testing.assert_allclose(got, fitted.transform(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_random_one_hot_encoders(unknown: str, draw: int) -> None:
    count = np.random.randint(2, 6)
    x = np.random.randint(0, count, (40, columns()))
    x[:count] = np.arange(count)[:, None]  # the converter numbers categories from zero
    fitted = preprocessing.OneHotEncoder(handle_unknown=unknown, sparse_output=False).fit(x)
    model = ct.converters.sklearn.convert(fitted, "input", "output")
    if unknown == "ignore":
        x = x + np.random.randint(0, 2, x.shape) * 7
    got = [answer["output"] for answer in answers(model, x)]
    np.testing.assert_array_equal(got, fitted.transform(x))


@pytest.mark.parametrize("draw", DRAWS)
def test_random_dict_vectorizers(draw: int) -> None:
    keys = [f"key {n}" for n in range(columns() + 1)]

    def draws(count: int, known: list[str]) -> list[dict[str, float]]:
        return [
            {key: float(np.random.normal()) for key in known if np.random.random() < 0.6}
            for _ in range(count)
        ]

    fitted = DictVectorizer(sparse=False).fit([dict.fromkeys(keys, 1.0)])
    model = ct.converters.sklearn.convert(fitted, "input", "output")
    given = draws(30, [*keys, "never seen"])
    got = [model.predict({"input": row})["output"] for row in given]
    np.testing.assert_array_equal(got, fitted.transform(given))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("last", ["classifier", "regressor"])
def test_random_pipelines(last: str, draw: int) -> None:
    x, y = problem(3 if last == "classifier" else 0)
    # One column stays whole: a row of nothing but means has no direction that a norm could keep.
    x = np.concatenate([x, np.random.normal(size=(len(x), 1))], axis=1)
    x[:, :-1][np.random.random((len(x), x.shape[1] - 1)) < 0.2] = np.nan
    x[0] = 0.5
    end = (
        linear_model.LogisticRegression(multi_class="ovr")
        if last == "classifier"
        else linear_model.LinearRegression()
    )
    steps = [SimpleImputer(), preprocessing.StandardScaler(), preprocessing.Normalizer()]
    fitted = pipeline.make_pipeline(*steps[: np.random.randint(1, 4)], end).fit(x, y)
    names = [f"feature {n}" for n in range(x.shape[1])]
    model = ct.converters.sklearn.convert(fitted, names, "target")
    got = [model.predict(dict(zip(names, row, strict=True))) for row in x]
    if last == "classifier":
        compare(got, fitted, x, label="target", tolerance=1e-9)
    else:
        values = [answer["target"] for answer in got]
        np.testing.assert_allclose(values, fitted.predict(x), rtol=1e-9, atol=1e-9)


def compare(
    got: list[dict[str, Any]],
    fitted: Any,
    x: Any,
    expected: Any = None,
    *,
    label: str = "label",
    scale: float = 1.0,
    tolerance: float,
) -> None:
    """Scores of all rows, and labels where the best score is clear."""
    wanted = fitted.predict_proba(x) * scale
    scores = [[answer["classProbability"][c] for c in fitted.classes_] for answer in got]
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=tolerance * scale)
    ordered = np.sort(wanted, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4
    labels = np.array([answer[label] for answer in got])
    expected = fitted.predict(x) if expected is None else expected
    np.testing.assert_array_equal((labels == expected)[clear], np.ones(clear.sum()))
