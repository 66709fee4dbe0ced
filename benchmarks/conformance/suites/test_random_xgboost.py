"""XGBoost's own predictions for what its converter writes, on random data with missing values.

The converter adds 0.5 to a regressor's trees whatever ``base_score`` says, so that it is 0.5 here;
and it knows the logistic and softmax objectives of classifiers only.
"""

from __future__ import annotations

from typing import Any

import coremltools as ct
import numpy as np
import pytest
import xgboost

DRAWS = range(20)


def problem(classes: int, holes: bool) -> tuple[Any, Any]:
    """Features in float32, in which XGBoost compares."""
    x = np.random.normal(size=(int(np.random.randint(40, 90)), int(np.random.randint(2, 7))))
    y = x @ np.random.normal(size=x.shape[1])
    if holes:
        x[np.random.random(x.shape) < 0.25] = np.nan
    if classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    return x.astype(np.float32), y


def settings() -> dict[str, Any]:
    return {
        "n_estimators": int(np.random.randint(1, 12)),
        "max_depth": int(np.random.randint(1, 6)),
        "learning_rate": float(np.random.uniform(0.05, 0.9)),
        "base_score": 0.5,
        "n_jobs": 1,
        "random_state": 0,
    }


def answers(model: Any, names: list[str], x: Any) -> list[dict[str, Any]]:
    return [model.predict(dict(zip(names, row.astype(float), strict=True))) for row in x]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("booster", ["wrapped", "plain"])
def test_random_regressors(booster: str, holes: bool, draw: int) -> None:
    x, y = problem(0, holes)
    fitted = xgboost.XGBRegressor(**settings()).fit(x, y)
    names = [f"f{n}" for n in range(x.shape[1])]
    given = fitted if booster == "wrapped" else fitted.get_booster()
    model = ct.converters.xgboost.convert(given, names)
    got = [answer["target"] for answer in answers(model, names, x)]
    np.testing.assert_allclose(got, fitted.predict(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_random_classifiers(classes: int, holes: bool, draw: int) -> None:
    x, y = problem(classes, holes)
    fitted = xgboost.XGBClassifier(**settings()).fit(x, y)
    names = [f"f{n}" for n in range(x.shape[1])]
    labels = [f"class {n}" for n in range(classes)]
    model = ct.converters.xgboost.convert(fitted, names, mode="classifier", class_labels=labels)
    got = answers(model, names, x)
    wanted = fitted.predict_proba(x)
    scores = [[answer["classProbability"][label] for label in labels] for answer in got]
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
    # Which class a tie means is XGBoost's first, and in Core ML not documented: left out.
    ordered = np.sort(wanted, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-4
    found = [labels.index(answer["target"]) for answer in got]
    np.testing.assert_array_equal(np.array(found)[clear], wanted.argmax(axis=1)[clear])
