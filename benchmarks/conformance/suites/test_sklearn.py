"""scikit-learn's own predictions for everything that coremltools' converter takes."""

import coremltools as ct
import numpy as np
import pytest
from coremltools.models.datatypes import Array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

KERNELS = ("linear", "poly", "rbf", "sigmoid")
TABLES = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer}
LABELS = {"int": lambda y: y, "text": lambda y: np.array([f"kind {v}" for v in y])}
ROWS = 25


def convert(model, count):
    return ct.converters.sklearn.convert(model, [f"f{i}" for i in range(count)], None)


def rows(data):
    """Some rows as the model takes them, each number an input of its own."""
    chosen = np.random.permutation(len(data))[:ROWS]
    return chosen, [{f"f{i}": float(v) for i, v in enumerate(data[r])} for r in chosen]


REGRESSORS = {
    "linear": lambda: LinearRegression(),
    "linear without offset": lambda: LinearRegression(fit_intercept=False),
    "ridge": lambda: Ridge(alpha=0.3),
    "linear svr": lambda: LinearSVR(C=2.0, max_iter=20000),
    **{f"svr {k}": lambda k=k: SVR(kernel=k, C=5.0, degree=3, coef0=0.5) for k in KERNELS},
    **{f"nu-svr {k}": lambda k=k: NuSVR(kernel=k, nu=0.4, gamma=0.01) for k in KERNELS},
    **{f"tree of depth {d}": lambda d=d: DecisionTreeRegressor(max_depth=d) for d in (1, 4, None)},
    "forest": lambda: RandomForestRegressor(n_estimators=7, max_depth=6),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=15),
}


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("draw", range(4))
def test_regressor(name, draw):
    table = load_diabetes()
    data = (table.data * 20).astype(np.float32).astype(np.float64)
    kept = np.random.permutation(len(data))[:200]
    model = REGRESSORS[name]().fit(data[kept], table.target[kept])
    chosen, inputs = rows(data)
    answers = [p["prediction"] for p in convert(model, data.shape[1]).predict(inputs)]
    np.testing.assert_allclose(answers, model.predict(data[chosen]), rtol=1e-5, atol=1e-4)


CLASSIFIERS = {
    "logistic": lambda: LogisticRegression(multi_class="ovr", max_iter=2000),
    "linear svc": lambda: LinearSVC(max_iter=20000),
    **{f"svc {k}": lambda k=k: SVC(kernel=k, coef0=0.3, degree=2) for k in KERNELS},
    **{f"svc {k} with scores": lambda k=k: SVC(kernel=k, probability=True) for k in KERNELS},
    **{f"nu-svc {k}": lambda k=k: NuSVC(kernel=k, nu=0.1, coef0=1.0) for k in KERNELS},
    "nu-svc with scores": lambda: NuSVC(nu=0.1, probability=True),
    **{f"tree of depth {d}": lambda d=d: DecisionTreeClassifier(max_depth=d) for d in (1, 3, None)},
    "forest": lambda: RandomForestClassifier(n_estimators=7, max_depth=5),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=10),
}


def probabilities(model, data):
    """What the converted model means by them.

    Of two classes a support vector machine's are the sigmoid that was fitted to its decisions;
    scikit-learn goes on from there by an iteration that is meant for more classes, and stops early.
    """
    if isinstance(model, SVC | NuSVC) and len(model.classes_) == 2:
        second = 1 / (1 + np.exp(model.probA_ * model.decision_function(data) - model.probB_))
        return np.stack([1 - second, second], axis=1)
    return model.predict_proba(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(name, table, labels):
    found = TABLES[table]()
    if name == "boosting" and table != "cancer":
        pytest.skip("the converter takes boosted classifiers of two classes only")
    data = StandardScaler().fit_transform(found.data).astype(np.float32).astype(np.float64)
    target = LABELS[labels](found.target)
    kept = np.random.permutation(len(data))[:120]
    model = CLASSIFIERS[name]().fit(data[kept], target[kept])
    chosen, inputs = rows(data)
    answers = convert(model, data.shape[1]).predict(inputs)
    expected = model.predict(data[chosen])
    if hasattr(model, "predict_proba"):
        scores = [[p["classProbability"][c] for c in model.classes_] for p in answers]
        if name == "forest" and len(model.classes_) > 2:
            # The converter sums the trees instead of taking their mean.
            scores = np.asarray(scores) / len(model.estimators_)
        np.testing.assert_allclose(scores, probabilities(model, data[chosen]), atol=1e-5)
        best = np.sort(scores, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-6
        # LIBSVM's labels come of votes, Core ML's of the scores where there are some.
        clear &= "with scores" not in name
    else:
        clear = np.ones(len(chosen), bool)
    labels_given = np.array([p["classLabel"] for p in answers])
    np.testing.assert_array_equal((labels_given == expected)[clear], np.ones(clear.sum()))


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
@pytest.mark.parametrize("neighbors", [1, 3, 7])
def test_neighbours(neighbors, algorithm, labels):
    found = load_iris()
    data = found.data.astype(np.float32)
    model = KNeighborsClassifier(neighbors, algorithm=algorithm)
    model.fit(data[::2], LABELS[labels](found.target)[::2])
    converted = ct.converters.sklearn.convert(model, "input", "label")
    chosen = np.random.permutation(len(data))[:ROWS]
    answers = [converted.predict({"input": data[r]}) for r in chosen]
    # The converter writes the labels' positions, not the labels.
    expected = np.searchsorted(model.classes_, model.predict(data[chosen]))
    np.testing.assert_array_equal([a["label"] for a in answers], expected)


def holes(data, share):
    holed = data.copy()
    holed[np.random.random(data.shape) < share] = np.nan
    return holed


TRANSFORMERS = {
    "scaler": lambda data: StandardScaler().fit(data),
    "scaler without mean": lambda data: StandardScaler(with_mean=False).fit(data),
    **{f"normalizer {n}": lambda data, n=n: Normalizer(n).fit(data) for n in ("l1", "l2", "max")},
    "imputer": lambda data: SimpleImputer(strategy="mean").fit(data),
    "imputer by median": lambda data: SimpleImputer(strategy="median").fit(data),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformer(name, table):
    data = TABLES[table]().data.astype(np.float32).astype(np.float64)
    if "imputer" in name:
        data = holes(data, 0.1)
    model = TRANSFORMERS[name](data)
    # Of a normalizer the converter asks the size.
    converted = ct.converters.sklearn.convert(model, [("input", Array(data.shape[1]))], "output")
    chosen = np.random.permutation(len(data))[:ROWS]
    answers = [converted.predict({"input": data[r]})["output"] for r in chosen]
    expected = model.transform(data[chosen])
    if name == "scaler without mean":  # the converter writes the mean all the same
        expected = expected - model.mean_ / model.scale_
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("columns", [[0], [1, 3], [0, 1, 2, 3]])
def test_one_hot(columns, sparse):
    data = np.random.randint(0, 5, size=(60, 4)).astype(np.float64)[:, columns]
    data[:5] = np.arange(5)[:, None]  # the converter numbers categories from zero
    model = OneHotEncoder(categories="auto", sparse_output=sparse).fit(data)
    converted = ct.converters.sklearn.convert(model, "input", "output")
    expected = model.transform(data)
    expected = expected.toarray() if sparse else expected
    for row, right in list(zip(data, expected, strict=True))[:ROWS]:
        # Its pipeline ends with a vector of all features, whatever scikit-learn's output is.
        np.testing.assert_allclose(converted.predict({"input": row})["output"], right)


@pytest.mark.parametrize("sparse", [True, False])
def test_dict_vectorizer(sparse):
    facts = [
        {f"word {w}": float(np.random.rand()) for w in np.random.permutation(9)[: i % 6 + 1]}
        for i in range(40)
    ]
    model = DictVectorizer(sparse=sparse).fit(facts)
    scale = Pipeline([("facts", model), ("line", LinearRegression())])
    scale.fit(facts, np.random.rand(40))
    converted = ct.converters.sklearn.convert(scale, "facts", "answer")
    answers = [converted.predict({"facts": f})["answer"] for f in facts]
    np.testing.assert_allclose(answers, scale.predict(facts), rtol=1e-5, atol=1e-4)


PIPELINES = {
    "scaler, svr": lambda: [("s", StandardScaler()), ("m", SVR(kernel="rbf"))],
    "imputer, scaler, linear": lambda: [
        ("i", SimpleImputer()),
        ("s", StandardScaler()),
        ("m", LinearRegression()),
    ],
    "scaler, normalizer, forest": lambda: [
        ("s", StandardScaler()),
        ("n", Normalizer()),
        ("m", RandomForestRegressor(n_estimators=5, max_depth=4)),
    ],
}


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("name", PIPELINES)
def test_pipeline(name, draw):
    table = load_diabetes()
    data = (table.data * 20).astype(np.float32).astype(np.float64)
    model = Pipeline(PIPELINES[name]())
    model.fit(holes(data, 0.05) if "imputer" in name else data, table.target)
    converted = ct.converters.sklearn.convert(model, "input", "answer")
    chosen = np.random.permutation(len(data))[:ROWS]
    answers = [converted.predict({"input": data[r]})["answer"] for r in chosen]
    np.testing.assert_allclose(answers, model.predict(data[chosen]), rtol=1e-5, atol=1e-4)
