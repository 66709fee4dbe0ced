"""Everything that coremltools converts from scikit-learn, against scikit-learn's predictions."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.toolchain

from sklearn import ensemble, linear_model, neighbors, pipeline, preprocessing, svm, tree  # noqa: E402
from sklearn.feature_extraction import DictVectorizer  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402

ROWS, COLUMNS = 60, 4
# Doubles on both sides; the order of summation and the exponential differ in the last digits.
EXACT = 1e-12
# The converter moves leaves of exactly one half by 1e-7, so that ties fall to the first class.
MOVED = 1.1e-7
# scikit-learn couples the pair of a two-class SVM as if there were more, to its own accuracy;
# the converter prints that this is usually below 0.5 %.
COUPLED = 5e-3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    # float32 numbers: scikit-learn's trees compare in float32
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32).astype(float)
    direction = x @ rng.normal(size=COLUMNS) + 0.3 * rng.normal(size=ROWS)
    names = np.array(["ant", "bee", "cat"])
    return {
        "x": x,
        "real": direction,
        "two": (direction > 0).astype(int) * 7 - 2,
        "three": names[np.digitize(direction, [-0.7, 0.7])],
    }


def converted(ct, fitted, *args, **options):
    from mlbuild.coreml import load_spec

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model = ct.converters.sklearn.convert(fitted, *args, **options)
    return load_spec(model.get_spec(), Path())


def fit(estimator, x, y=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multi_class is deprecated, the converter asks for it
        return estimator.fit(x, y)


def array(ct):
    """The input's type, which the converter cannot tell of a norm."""
    return [("features", ct.models.datatypes.Array(COLUMNS))]


REGRESSORS = {
    "linear": lambda: linear_model.LinearRegression(),
    "ridge": lambda: linear_model.Ridge(alpha=0.5),
    "linear SVR": lambda: svm.LinearSVR(random_state=0),
    "rbf SVR": lambda: svm.SVR(),
    "polynomial SVR": lambda: svm.SVR(kernel="poly", degree=3, coef0=0.5),
    "sigmoid NuSVR": lambda: svm.NuSVR(kernel="sigmoid", coef0=0.1),
    "tree": lambda: tree.DecisionTreeRegressor(max_depth=4, random_state=0),
    "forest": lambda: ensemble.RandomForestRegressor(7, max_depth=4, random_state=0),
    "boosted": lambda: ensemble.GradientBoostingRegressor(n_estimators=9, random_state=0),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_predicts_what_scikit_learn_predicts(ct, data, name):
    fitted = fit(REGRESSORS[name](), data["x"], data["real"])
    model = converted(ct, fitted, "features", "target")
    got = [model.predict({"features": row})["target"] for row in data["x"]]
    assert np.std(got) > 0.05
    np.testing.assert_allclose(got, fitted.predict(data["x"]), rtol=0, atol=EXACT)


CLASSIFIERS = {
    "decision tree": lambda: tree.DecisionTreeClassifier(max_depth=3, random_state=0),
    "boosted": lambda: ensemble.GradientBoostingClassifier(n_estimators=7, random_state=0),
    "logistic": lambda: linear_model.LogisticRegression(multi_class="ovr"),
    "logistic without offset": lambda: linear_model.LogisticRegression(
        multi_class="ovr", fit_intercept=False
    ),
}


@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_gives_scikit_learns_labels_and_probabilities(ct, data, name, target):
    fitted = fit(CLASSIFIERS[name](), data["x"], data[target])
    model = converted(ct, fitted, "features", "label")
    assert model.description.class_labels == tuple(fitted.classes_.tolist())
    check(model, fitted, data["x"], MOVED, fitted.predict(data["x"]))


@pytest.mark.parametrize(("target", "scale"), [("two", 1), ("three", 5)])
def test_scores_of_a_converted_forest_sum_to_the_number_of_trees_for_three_classes(
    ct, data, target, scale
):
    # The converter divides by the number of trees for two classes only.
    forest = ensemble.RandomForestClassifier(5, max_depth=3, random_state=0)
    fitted = fit(forest, data["x"], data[target])
    model = converted(ct, fitted, "features", "label")
    check(model, fitted, data["x"], MOVED, fitted.predict(data["x"]), scale)


KERNELS = {
    "linear": {},
    "rbf": {"gamma": 0.3},
    "poly": {"degree": 2, "coef0": 0.4},
    "sigmoid": {"gamma": 0.1, "coef0": -0.2},
}


@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("machine", [svm.SVC, lambda **o: svm.NuSVC(nu=0.2, **o)])
def test_support_vectors_vote_as_in_scikit_learn(ct, data, machine, kernel, target):
    fitted = fit(machine(kernel=kernel, **KERNELS[kernel]), data["x"], data[target])
    model = converted(ct, fitted, "features", "label")
    got = [model.predict({"features": row}) for row in data["x"]]
    assert [row["label"] for row in got] == fitted.predict(data["x"]).tolist()
    assert set(got[0]) == {"label"}


@pytest.mark.parametrize(("target", "tolerance"), [("two", COUPLED), ("three", 1e-9)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_support_vectors_give_scikit_learns_probabilities(ct, data, kernel, target, tolerance):
    machine = svm.SVC(kernel=kernel, probability=True, random_state=0, **KERNELS[kernel])
    fitted = fit(machine, data["x"], data[target])
    model = converted(ct, fitted, "features", "label")
    probable = fitted.classes_[fitted.predict_proba(data["x"]).argmax(axis=1)]
    clear = np.abs(np.diff(np.sort(fitted.predict_proba(data["x"]))[:, -2:])).ravel() > COUPLED
    check(model, fitted, data["x"], tolerance, probable, where=clear)


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
def test_nearest_neighbours_vote_as_in_scikit_learn(ct, data, algorithm):
    nearest = neighbors.KNeighborsClassifier(5, algorithm=algorithm)
    fitted = fit(nearest, data["x"], np.digitize(data["real"], [-0.7, 0.7]))
    model = converted(ct, fitted, "features", "label")
    points = np.random.default_rng(1).normal(size=(40, COLUMNS)).astype(np.float32)
    got = [model.predict({"features": row})["label"] for row in points]
    assert got == fitted.predict(points.astype(float)).tolist()


SCALERS = {
    "standard": preprocessing.StandardScaler(),
    "L1 norm": preprocessing.Normalizer("l1"),
    "L2 norm": preprocessing.Normalizer("l2"),
}


@pytest.mark.parametrize("name", SCALERS)
def test_a_scaler_or_norm_is_that_of_scikit_learn(ct, data, name):
    fitted = fit(SCALERS[name], data["x"])
    model = converted(ct, fitted, array(ct), "out")
    got = [model.predict({"features": row})["out"] for row in data["x"]]
    np.testing.assert_allclose(got, fitted.transform(data["x"]), rtol=0, atol=EXACT)


def test_a_mean_that_the_converter_should_have_left_out_is_not_hidden(ct, data):
    # coremltools 9.0 writes the mean whatever with_mean says: the file says shift, so it is done.
    fitted = fit(preprocessing.StandardScaler(with_mean=False), data["x"])
    got = converted(ct, fitted, "features", "out").predict({"features": data["x"][0]})["out"]
    expected = fitted.transform(data["x"])[0] - fitted.mean_ / fitted.scale_
    np.testing.assert_allclose(got, expected, rtol=0, atol=EXACT)


def test_the_greatest_elements_norm_is_scikit_learns_of_what_is_not_negative(ct, data):
    x = np.abs(data["x"])
    model = converted(ct, fit(preprocessing.Normalizer("max"), x), array(ct), "out")
    got = [model.predict({"features": row})["out"] for row in x]
    np.testing.assert_allclose(got, x / x.max(axis=1, keepdims=True), rtol=0, atol=EXACT)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_missing_values_are_imputed_as_in_scikit_learn(ct, data, missing):
    x = data["x"].copy()
    x[np.random.default_rng(2).random(x.shape) < 0.3] = missing
    fitted = fit(SimpleImputer(missing_values=missing, strategy="median"), x)
    model = converted(ct, fitted, "features", "out")
    got = [model.predict({"features": row})["out"] for row in x]
    np.testing.assert_allclose(got, fitted.transform(x), rtol=0, atol=0)


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_categories_are_encoded_as_in_scikit_learn(ct, unknown):
    x = np.random.default_rng(3).integers(0, 4, (30, 3))
    x[:4] = np.arange(4)[:, None]  # the converter numbers categories from zero
    fitted = fit(preprocessing.OneHotEncoder(handle_unknown=unknown, sparse_output=False), x)
    model = converted(ct, fitted, "features", "out")
    rows = x if unknown == "error" else np.concatenate([x, [[9, 0, 9]]])
    got = [model.predict({"features": row})["out"] for row in rows]
    np.testing.assert_array_equal(got, fitted.transform(rows))


def test_dictionaries_are_vectorized_as_in_scikit_learn_unknown_keys_left_out(ct):
    rows = [{"foo": 1.0, "bar": 3.0}, {"bar": 4.0, "baz": 2.5}, {}]
    fitted = DictVectorizer(sparse=False).fit(rows)
    model = converted(ct, fitted, "features", "out")
    rows.append({"never seen": 21.0, "baz": 1.0})
    got = [model.predict({"features": row})["out"] for row in rows]
    np.testing.assert_array_equal(got, fitted.transform(rows))


def test_a_pipeline_with_named_inputs_ends_in_its_classifier(ct, data):
    steps = [
        ("impute", SimpleImputer()),
        ("scale", preprocessing.StandardScaler()),
        ("norm", preprocessing.Normalizer()),
        ("classify", ensemble.GradientBoostingClassifier(n_estimators=5, random_state=0)),
    ]
    x = data["x"].copy()
    x[::5, 1] = np.nan
    fitted = fit(pipeline.Pipeline(steps), x, data["three"])
    names = ["a", "b", "c", "d"]
    model = converted(ct, fitted, names, "label")
    for row, expected in zip(x, fitted.predict_proba(x), strict=True):
        got = model.predict(dict(zip(names, row, strict=True)))
        np.testing.assert_allclose(
            [got["classProbability"][label] for label in fitted.classes_], expected, atol=1e-7
        )  # trees see the scaled values in float32 in scikit-learn
    assert model.description.class_labels == ("ant", "bee", "cat")
    assert model.scores_value == "4/scores"


def test_a_pipeline_from_a_dictionary_ends_in_its_regressor(ct):
    rng = np.random.default_rng(4)
    rows = [{key: rng.normal() for key in rng.choice(list("abcdef"), 4, False)} for _ in range(40)]
    y = rng.normal(size=40)
    fitted = fit(pipeline.make_pipeline(DictVectorizer(), linear_model.LinearRegression()), rows, y)
    model = converted(ct, fitted, "features", "target")
    got = [model.predict({"features": row})["target"] for row in rows]
    np.testing.assert_allclose(got, fitted.predict(rows), rtol=0, atol=1e-9)  # sparse solver


def check(model, fitted, rows, tolerance, labels, scale=1, where=None):
    """Probabilities of all rows, and the labels of those where they are clear."""
    where = np.ones(len(rows), bool) if where is None else where
    got = [model.predict({"features": row}) for row in rows]
    answered = np.array([row["label"] for row in got])
    assert len(set(answered.tolist())) == len(fitted.classes_)
    np.testing.assert_array_equal(answered[where], labels[where])
    scores = [[row["classProbability"][label] for label in fitted.classes_] for row in got]
    np.testing.assert_allclose(
        scores, scale * fitted.predict_proba(rows), rtol=0, atol=tolerance * scale
    )
    assert {type(label) for label in got[0]["classProbability"]} == {type(got[0]["label"])}
