"""XGBoost's own predictions for its trees."""

import coremltools as ct
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

ROWS = 25


def table(load, count):
    found = load()
    data = found.data.astype(np.float32)
    kept = np.random.permutation(len(data))[:count]
    return data, found.target, kept


def rows(data):
    chosen = np.random.permutation(len(data))[:ROWS]
    return chosen, [{f"f{i}": float(v) for i, v in enumerate(data[r])} for r in chosen]


REGRESSORS = {
    "depth 1": {"max_depth": 1},
    "depth 3": {"max_depth": 3},
    "depth 6": {"max_depth": 6},
    "weights": {"max_depth": 4, "reg_lambda": 5.0, "learning_rate": 0.7},
    "sampled": {"max_depth": 5, "subsample": 0.6, "colsample_bytree": 0.5},
    "leafwise": {"tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 9},
}


@pytest.mark.parametrize("trees", [1, 20])
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressor(name, trees):
    data, target, kept = table(load_diabetes, 200)
    model = xgboost.XGBRegressor(n_estimators=trees, base_score=0.5, **REGRESSORS[name])
    model.fit(data[kept], target[kept])
    names = [f"f{i}" for i in range(data.shape[1])]
    model.get_booster().feature_names = names
    converted = ct.converters.xgboost.convert(model, names, "answer")
    chosen, inputs = rows(data)
    answers = [p["answer"] for p in converted.predict(inputs)]
    np.testing.assert_allclose(answers, model.predict(data[chosen]), rtol=1e-5, atol=1e-4)


CLASSIFIERS = {"two": load_breast_cancer, "three": load_iris}


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("trees", [1, 15])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(name, trees, depth):
    data, target, kept = table(CLASSIFIERS[name], 120)
    model = xgboost.XGBClassifier(n_estimators=trees, max_depth=depth, base_score=0.5)
    model.fit(data[kept], target[kept])
    names = [f"f{i}" for i in range(data.shape[1])]
    model.get_booster().feature_names = names
    converted = ct.converters.xgboost.convert(
        model, names, "answer", mode="classifier", n_classes=len(np.unique(target))
    )
    chosen, inputs = rows(data)
    answers = converted.predict(inputs)
    classes = sorted(np.unique(target))
    scores = [[p["classProbability"][int(c)] for c in classes] for p in answers]
    expected = model.predict_proba(data[chosen])
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-4)
    # Which class a tie means is XGBoost's first, and in Core ML not documented: left out.
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4
    labels = np.array([p["answer"] for p in answers])
    np.testing.assert_array_equal(labels[clear], model.predict(data[chosen])[clear])


@pytest.mark.parametrize("trees", [1, 20])
def test_missing_values(trees):
    data, target, kept = table(load_diabetes, 300)
    data[np.random.random(data.shape) < 0.2] = np.nan
    model = xgboost.XGBRegressor(n_estimators=trees, max_depth=4, base_score=0.5)
    model.fit(data[kept], target[kept])
    names = [f"f{i}" for i in range(data.shape[1])]
    model.get_booster().feature_names = names
    converted = ct.converters.xgboost.convert(model, names, "answer")
    chosen, inputs = rows(data)
    answers = [p["answer"] for p in converted.predict(inputs)]
    np.testing.assert_allclose(answers, model.predict(data[chosen]), rtol=1e-5, atol=1e-4)
