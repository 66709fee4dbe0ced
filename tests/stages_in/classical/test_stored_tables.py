"""Models that were stored say what they said while they were learnt, to whoever asks them."""

import importlib
import sys
import types
from pathlib import Path

import joblib
import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
STAGES = Path(__file__).resolve().parents[3] / "stages"


@pytest.fixture
def shared():
    """``shared("tabular.stored")``: a module of what kinds share."""
    package = types.ModuleType("_stages_here")
    package.__path__ = [str(STAGES)]
    sys.modules["_stages_here"] = package
    return lambda name: importlib.import_module(f"_stages_here._shared.{name}")


CASES = [
    ("train/sklearn", {"estimator": "LogisticRegression", "steps": ["StandardScaler"]}),
    ("train/sklearn", {"estimator": "LinearSVC"}),
    ("train/xgboost", {"rounds": 8}),
    ("train/lightgbm", {"rounds": 8, "min_rows": 4}),
    ("train/libsvm", {}),
]


@pytest.mark.parametrize(("kind", "params"), CASES)
def test_a_stored_classifier_answers_as_it_was_judged(
    run_kind, tmp_path, table, shared, kind, params
):
    path, test = table("iris", slice(0, None, 2)), table("iris", slice(1, None, 2), "test.csv")
    ran = run_kind(
        kind, tmp_path=tmp_path, inputs={"table": path, "test": test},
        params={"target": "target", **params},
    )  # fmt: skip

    stored = shared("tabular.stored").load(ran.outputs["model"], True)
    answers = stored.ask(shared("tables.description").samples(test, stored.description))

    truth = np.repeat(["setosa", "versicolor", "virginica"], 25)
    assert answers["label"].dtype.kind == "U"
    right = (answers["label"] == truth).mean()
    assert ran.metrics["accuracy"]["value"] == pytest.approx(right)
    assert {o["name"] for o in stored.description["outputs"]} == set(answers)
    if "probabilities" in answers:
        places = np.repeat([0, 1, 2], 25)
        given = answers["probabilities"][np.arange(75), places]
        assert np.allclose(answers["probabilities"].sum(axis=1), 1, atol=1e-6)
        assert ran.metrics["log_loss"] == pytest.approx(-np.log(given).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("train/sklearn", {"estimator": "RandomForestRegressor", "params": {"n_estimators": 5}}),
        ("train/xgboost", {"task": "regression", "rounds": 8}),
        ("train/lightgbm", {"task": "regression", "rounds": 8, "categories": "native"}),
        ("train/libsvm", {"type": "epsilon-svr", "c": 10}),
    ],
)
def test_a_stored_regressor_fills_gaps_and_knows_categories(
    run_kind, tmp_path, mixed, shared, kind, params
):
    lines = mixed.read_text().splitlines()
    lines[3] = "," + lines[3].split(",", 1)[1]
    mixed.write_text("\n".join(lines) + "\n")
    ran = run_kind(
        kind, tmp_path=tmp_path, inputs={"table": mixed},
        params={
            "target": "price", "exclude": ["sold"], "missing": "mean", "evaluate": "training",
            **params,
        },
    )  # fmt: skip
    assert ran.ok, ran.error

    stored = shared("tabular.stored").load(ran.outputs["model"], True)
    answers = stored.ask(shared("tables.description").samples(mixed, stored.description))

    truth = np.array([float(line.split(",")[3]) for line in lines[1:]])
    rmse = np.sqrt(((answers["value"] - truth) ** 2).mean())
    assert ran.metrics["rmse"] == pytest.approx(rmse, rel=1e-6)


def test_an_estimator_of_somebody_else_describes_itself(tmp_path, table, shared):
    from sklearn.datasets import load_iris
    from sklearn.svm import SVC

    x, y = load_iris(return_X_y=True, as_frame=True)
    joblib.dump(SVC().fit(x, y), tmp_path / "model.pkl")

    stored = shared("tabular.stored").load(tmp_path / "model.pkl", True)

    assert [c["name"] for c in stored.description["columns"]] == list(x.columns)
    assert stored.description["labels"] == [0, 1, 2]
    assert stored.description["outputs"] == [{"name": "label", "gives": "label"}]


def test_what_executes_code_is_read_only_where_it_is_trusted(tmp_path, shared):
    problem = shared("problem.problem").Problem
    joblib.dump({}, tmp_path / "model.joblib")

    with pytest.raises(problem) as refused:
        shared("tabular.stored").load(tmp_path / "model.joblib", False)

    assert str(refused.value) == "model.joblib executes what it holds when it is read"
    assert refused.value.hint == "where you know who wrote it: {from: ..., trust: true}"


def test_a_pickle_of_another_version_or_of_something_else_is_told(tmp_path, shared, monkeypatch):
    import sklearn
    from sklearn.linear_model import LinearRegression

    problem, load = shared("problem.problem").Problem, shared("tabular.stored").load
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with monkeypatch.context() as patch:
        patch.setattr(sklearn.base, "__version__", "1.2.2")
        joblib.dump(fitted, tmp_path / "old.joblib")
    joblib.dump([1, 2], tmp_path / "list.joblib")
    joblib.dump(LinearRegression(), tmp_path / "unfitted.joblib")
    (tmp_path / "torn.joblib").write_bytes((tmp_path / "old.joblib").read_bytes()[:100])
    (tmp_path / "model.bin").write_bytes(b"")

    def told(name):
        with pytest.raises(problem) as refused:
            load(tmp_path / name, True)
        return str(refused.value)

    assert told("old.joblib") == (
        "old.joblib was written by scikit-learn 1.2.2, this toolchain has 1.5.1: what it would "
        "answer is not known"
    )
    assert told("list.joblib") == "list.joblib holds a list, no estimator of scikit-learn"
    assert told("unfitted.joblib") == (
        "unfitted.joblib holds a LinearRegression that was never fitted"
    )
    assert told("torn.joblib").startswith("torn.joblib cannot be read: ")
    assert told("model.bin").startswith("model.bin is no model of tables: its name ends in none of")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.json", "XGBoost cannot read model.json: "),
        ("model.txt", "LightGBM cannot read model.txt: "),
        ("model.libsvm", "model.libsvm is no model of LIBSVM"),
    ],
)
def test_a_file_that_is_no_model_is_told(tmp_path, shared, name, message):
    (tmp_path / name).write_text("no model\n")

    with pytest.raises(shared("problem.problem").Problem) as refused:
        shared("tabular.stored").load(tmp_path / name, False)

    assert str(refused.value).startswith(message)


def test_a_model_without_a_description_is_told(tmp_path, shared):
    import xgboost

    booster = xgboost.train({}, xgboost.DMatrix(np.eye(3), np.arange(3)), 1)
    booster.save_model(str(tmp_path / "plain.json"))

    with pytest.raises(shared("problem.problem").Problem) as refused:
        shared("tabular.stored").load(tmp_path / "plain.json", False)

    assert str(refused.value) == "plain.json does not say which columns of a table it takes"
