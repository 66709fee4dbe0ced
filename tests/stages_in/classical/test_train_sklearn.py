"""train/sklearn against scikit-learn itself."""

import subprocess
import sys

import joblib
import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
SKLEARN = "train/sklearn"


def learn(run_kind, tmp_path, table, **params):
    inputs = {"table": table, **params.pop("inputs", {})}
    ran = run_kind(SKLEARN, tmp_path=tmp_path, inputs=inputs, params={"target": "target", **params})
    assert ran.ok, ran.error
    return ran


def frame(path, columns):
    import pandas as pd

    return pd.read_csv(path)[columns]


def columns_of(held):
    return [column["name"] for column in held["columns"]]


@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")  # sklearn's own call
def test_the_figures_are_those_of_cross_validation_and_the_model_learnt_all_rows(
    run_kind, tmp_path, table
):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score, log_loss, roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ran = learn(
        run_kind, tmp_path, table("iris"), seed=4,
        estimator="LogisticRegression", params={"C": 3.0}, steps=["StandardScaler"],
    )  # fmt: skip

    x, y = load_iris(return_X_y=True)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=3.0))
    folds = StratifiedKFold(5, shuffle=True, random_state=4)
    scores = cross_val_predict(oracle, x, y, cv=folds, method="predict_proba")
    said = scores.argmax(axis=1)
    figures = ran.metrics
    assert figures["accuracy"]["n"] == 150
    assert figures["accuracy"]["value"] == pytest.approx((said == y).mean())
    assert figures["log_loss"] == pytest.approx(log_loss(y, scores), rel=1e-6)
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(y, scores, multi_class="ovr"))
    assert figures["f1"] == pytest.approx(f1_score(y, said, average="macro"))
    assert figures["recall.virginica"]["n"] == 50
    held = joblib.load(ran.outputs["model"])
    assert held["labels"] == ["setosa", "versicolor", "virginica"]
    assert held["library_versions"]["scikit-learn"] == "1.5.1"
    mine = held["estimator"].predict_proba(frame(tmp_path / "iris.csv", columns_of(held)))
    assert np.allclose(mine, oracle.fit(x, y).predict_proba(x), atol=1e-9)
    assert set(ran.plots) >= {"confusion", "importance", "reliability"}
    mistakes = ran.json("report")["mistakes"]
    assert len(mistakes) == (said != y).sum()
    assert all(row["row"].startswith("iris.csv, line ") for row in mistakes)


def test_a_regressor_is_judged_by_its_errors(run_kind, tmp_path, table):
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
    from sklearn.model_selection import KFold, cross_val_predict

    ran = learn(run_kind, tmp_path, table("diabetes"), estimator="Ridge", params={"alpha": 0.1})

    x, y = load_diabetes(return_X_y=True)
    folds = KFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(Ridge(alpha=0.1), x, y, cv=folds)
    assert ran.metrics["r2"] == pytest.approx(r2_score(y, said))
    assert ran.metrics["rmse"] == pytest.approx(root_mean_squared_error(y, said))
    assert ran.metrics["mae"] == pytest.approx(mean_absolute_error(y, said))
    assert set(ran.plots) >= {"residuals", "predictions", "importance"}
    held = joblib.load(ran.outputs["model"])
    assert type(held["estimator"]).__name__ == "Ridge"  # nothing stands before it
    assert held["labels"] is None
    assert held["outputs"] == [{"name": "value", "gives": "value"}]


def test_text_and_gaps_are_learnt_from(run_kind, tmp_path, mixed):
    text = mixed.read_text().splitlines()
    text[5] = "," + text[5].split(",", 1)[1]
    text[9] = ",".join(["3.5", "", *text[9].split(",")[2:]])
    mixed.write_text("\n".join(text) + "\n")

    ran = learn(
        run_kind, tmp_path, mixed, target="price", exclude=["sold"], missing="median",
        estimator="LinearRegression",
    )  # fmt: skip

    held = joblib.load(ran.outputs["model"])
    columns = {c["name"]: (c["type"], c["categories"]) for c in held["columns"]}
    assert columns == {
        "size": ("number", None),
        "colour": ("category", ["blue", "green", "red"]),
        "shop": ("category", ["A", "B"]),
    }
    assert ran.metrics["r2"] > 0.97
    asked = frame(mixed, ["size", "colour", "shop"])
    said = held["estimator"].predict(asked)
    plain = asked.dropna()
    # price = 3 size + (10 | 0 | -5), as the table was made
    base = {"red": 10, "green": 0, "blue": -5}
    truth = 3 * plain["size"] + plain["colour"].map(base)
    assert np.abs(said[plain.index] - truth).max() < 0.7
    assert np.isfinite(said).all()


def test_branches_of_columns_have_steps_of_their_own(run_kind, tmp_path, mixed):
    ran = learn(
        run_kind, tmp_path, mixed, target="sold", estimator="SVC", params={"probability": True},
        transform=[
            {"columns": ["size", "pri*"], "steps": ["StandardScaler", "MinMaxScaler"]},
            {"columns": "category", "steps": [{"use": "OrdinalEncoder"}]},
        ],
    )  # fmt: skip

    held = joblib.load(ran.outputs["model"])
    first = held["estimator"].named_steps["columns"]
    assert [names for _, _, names in first.transformers_] == [["size", "price"], ["colour", "shop"]]
    assert ran.metrics["accuracy"]["value"] > 0.9


def test_integers_stay_integers_as_labels(run_kind, tmp_path, table):
    path = table("iris")
    text = path.read_text()
    for number, name in ((10, "setosa"), (2, "versicolor"), (-1, "virginica")):
        text = text.replace(name, str(number))
    path.write_text(text)

    ran = learn(run_kind, tmp_path, path, estimator="DecisionTreeClassifier")

    held = joblib.load(ran.outputs["model"])
    assert held["labels"] == held["estimator"].classes_.tolist() == [-1, 2, 10]


def test_parameters_are_chosen_inside_the_learnt_rows(run_kind, tmp_path, table):
    from sklearn.datasets import load_wine
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    ran = learn(
        run_kind, tmp_path, table("wine"), estimator="KNeighborsClassifier",
        steps=["StandardScaler"], evaluate="training", scoring="accuracy", search_folds=4,
        search={"n_neighbors": [1, 5, 25], "standardscaler__with_mean": [True, False]},
    )  # fmt: skip

    x, y = load_wine(return_X_y=True)
    steps = [("standardscaler", StandardScaler()), ("estimator", KNeighborsClassifier())]
    grid = {"estimator__n_neighbors": [1, 5, 25], "standardscaler__with_mean": [True, False]}
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    oracle = GridSearchCV(Pipeline(steps), grid, scoring="accuracy", cv=folds).fit(x, y)
    assert ran.metrics["search_score"] == pytest.approx(oracle.best_score_)
    assert ran.json("report")["search"]["params"] == oracle.best_params_
    held = joblib.load(ran.outputs["model"])["estimator"]
    assert (
        held.get_params()["estimator__n_neighbors"] == oracle.best_params_["estimator__n_neighbors"]
    )


def test_weights_of_rows_reach_the_estimator(run_kind, tmp_path):
    rows = [(x, "ab"[x % 2], 9.0 if x % 2 else 1.0) for x in range(20)]
    text = "x,kind,w\n" + "\n".join(f"{x},{kind},{w}" for x, kind, w in rows) + "\n"
    path = tmp_path / "w.csv"
    path.write_text(text)

    ran = learn(
        run_kind, tmp_path, path, target="kind", weight="w", estimator="GaussianNB",
        evaluate="training",
    )  # fmt: skip

    assert np.allclose(joblib.load(ran.outputs["model"])["estimator"].class_prior_, [0.1, 0.9])


@pytest.mark.parametrize(
    ("params", "task", "expected"),
    [
        (
            {"estimator": "KMeans", "params": {"n_clusters": 3, "n_init": 5}},
            "clustering",
            {"clusters": 3, "silhouette": 0.55, "adjusted_rand": 0.73},
        ),
        (
            {"estimator": "GaussianMixture", "params": {"n_components": 3}},
            "clustering",
            {"clusters": 3, "adjusted_rand": 0.90, "log_likelihood": -1.20},
        ),
        (
            {"estimator": "PCA", "params": {"n_components": 2}},
            "transform",
            {"components": 2, "explained_variance": 0.9777, "reconstruction_error": 0.159},
        ),
        (
            {"estimator": "IsolationForest", "anomalous": ["setosa"]},
            "anomaly",
            {"roc_auc": None, "average_precision": None, "anomalies": None},
        ),
        (
            {"estimator": "KMeans", "params": {"n_clusters": 4, "n_init": 1}, "task": "transform"},
            "transform",
            {"components": 4},
        ),
    ],
)
def test_what_has_no_truth_is_learnt_too(run_kind, tmp_path, table, params, task, expected):
    ran = learn(run_kind, tmp_path, table("iris"), **params)

    held = joblib.load(ran.outputs["model"])
    assert held["task"] == task
    for name, value in expected.items():
        assert name in ran.metrics
        if value is not None:
            assert ran.metrics[name] == pytest.approx(value, abs=0.01), name


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        (
            {"estimator": "RandomForrestClassifier"},
            "estimator: scikit-learn has no estimator 'RandomForrestClassifier'",
            "did you mean 'RandomForestClassifier'?",
        ),
        (
            {"estimator": "RandomForestClassifier", "params": {"n_estimator": 5}},
            "estimator: RandomForestClassifier has no parameter 'n_estimator'",
            "did you mean 'n_estimators'?",
        ),
        (
            {"estimator": "SVC", "steps": ["StandardScaler", {"use": "PCA", "params": {"n": 2}}]},
            "steps[1]: PCA has no parameter 'n'",
            None,
        ),
        (
            {"estimator": "SVC", "steps": ["LogisticRegression"]},
            "steps: LogisticRegression ('logisticregression') does not transform rows",
            None,
        ),
        (
            {"estimator": "SVC", "params": {"C": -1}},
            "SVC cannot learn this: The 'C' parameter of SVC must be a float in the range "
            "(0.0, inf). Got -1 instead.",
            None,
        ),
        (
            {"estimator": "DBSCAN"},
            "estimator: DBSCAN cannot be asked about rows that it did not learn",
            "KMeans, MiniBatchKMeans, Birch, MeanShift and GaussianMixture can",
        ),
        (
            {"estimator": "LocalOutlierFactor"},
            "estimator: LocalOutlierFactor cannot be asked about rows that it did not learn",
            "params: {novelty: true}",
        ),
        (
            {"estimator": "GridSearchCV"},
            "estimator: GridSearchCV keeps the times of its fits, so that no two models are equal",
            "name the estimator itself, and the parameters to choose from under `search`",
        ),
        (
            {"estimator": "VotingClassifier"},
            "estimator: VotingClassifier needs the parameter 'estimators'",
            "params: {estimators: {use: ...}}",
        ),
        (
            {"estimator": "LinearRegression", "task": "clustering"},
            "task: LinearRegression is for regression, not for clustering",
            None,
        ),
        (
            {"estimator": "LinearRegression"},
            "iris.csv, line 2: column 'target' holds numbers, but here stands 'setosa'",
            "correct it, add it to `missing_values`, or say `types: {target: category}`",
        ),
        (
            {"estimator": "SVC", "search": {"c": [1]}},
            "search: SVC has no parameter 'c'",
            "did you mean 'C'?",
        ),
        (
            {"estimator": "SVC", "steps": ["PCA"], "search": {"pca__n_component": [1]}},
            "search: SVC has no parameter 'pca__n_component'",
            "did you mean 'pca__n_components'?",
        ),
        (
            {"estimator": "SVC", "search": {"C": [1]}, "scoring": "acuracy"},
            "scoring: scikit-learn has no score 'acuracy'",
            "did you mean 'accuracy'?",
        ),
        (
            {"estimator": "KMeans", "evaluate": "kfold"},
            "evaluate: kfold is for classification and regression, this is clustering",
            "evaluate: training, or give a test input",
        ),
        (
            {"estimator": "IsolationForest", "anomalous": ["Setosa"]},
            "anomalous: 'target' has no label 'Setosa', it has setosa, versicolor, virginica",
            "did you mean 'setosa'?",
        ),
        (
            {"estimator": "SVC", "transform": [{"columns": ["petal len"], "steps": ["PCA"]}]},
            "transform[0]: no column 'petal len' is learnt from",
            "did you mean 'petal length'?",
        ),
        (
            {"estimator": "KNeighborsClassifier", "weight": "petal width"},
            "weight: KNeighborsClassifier takes no weights of rows",
            None,
        ),
        (
            {
                "estimator": "LogisticRegression",
                "categories": "native",
                "types": {"petal width": "category"},
            },
            "categories: native is nothing that LogisticRegression knows",
            "HistGradientBoostingClassifier and HistGradientBoostingRegressor do",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_told(run_kind, tmp_path, table, params, message, hint):
    ran = run_kind(
        SKLEARN, tmp_path=tmp_path, inputs={"table": table("iris")},
        params={"target": "target", **params},
    )  # fmt: skip

    assert (ran.error, ran.kind) == (message, "failure")
    if hint is not None:
        assert ran.hint == hint


def test_estimators_may_hold_estimators(run_kind, tmp_path, table):
    ran = learn(
        run_kind, tmp_path, table("wine"),
        estimator="VotingClassifier",
        params={
            "voting": "soft",
            "estimators": [
                {"use": "GaussianNB", "name": "bayes"},
                {
                    "use": "CalibratedClassifierCV",
                    "params": {"estimator": {"use": "LinearSVC"}, "cv": 3},
                },
            ],
        },
        steps=["StandardScaler"], folds=3,
    )  # fmt: skip

    last = joblib.load(ran.outputs["model"])["estimator"].named_steps["estimator"]
    assert list(last.named_estimators_) == ["bayes", "calibratedclassifiercv"]
    assert last.estimators[1][1].estimator.random_state == 0  # the seed reached the innermost
    assert ran.metrics["accuracy"]["value"] > 0.95


@pytest.mark.parametrize(
    "params",
    [
        {"estimator": "RandomForestClassifier", "params": {"n_estimators": 5}},
        {
            "estimator": "GradientBoostingClassifier",
            "params": {"n_estimators": 3, "subsample": 0.7},
        },
        {"estimator": "MLPClassifier", "params": {"hidden_layer_sizes": [4], "max_iter": 20}},
        {"estimator": "HistGradientBoostingClassifier", "params": {"max_iter": 5}},
        {"estimator": "LogisticRegression", "steps": ["StandardScaler"], "search": {"C": [1, 9]}},
        {"estimator": "KNeighborsClassifier"},
        {"estimator": "KMeans", "params": {"n_clusters": 3, "n_init": 2}},
        {"estimator": "IsolationForest", "params": {"n_estimators": 5}},
    ],
    ids=lambda p: p["estimator"],
)  # fmt: skip
def test_the_same_seed_leaves_the_same_bytes(run_kind, tmp_path, table, params):
    path = table("iris")
    first, second, other = (
        learn(run_kind, tmp_path, path, folds=2, seed=seed, **params) for seed in (1, 1, 2)
    )

    models = [ran.outputs["model"].read_bytes() for ran in (first, second, other)]
    assert models[0] == models[1]
    assert first.metrics == second.metrics
    assert first.text("report") == second.text("report")
    drawn = params["estimator"] not in ("KNeighborsClassifier",)
    assert (models[0] != models[2]) == drawn


def test_another_process_with_another_hash_seed_leaves_the_same_bytes(tmp_path, table):
    """Sets and dicts keep no order of their own in what is dumped."""
    import json
    from pathlib import Path

    root = Path(__file__).resolve().parents[3]
    path, found = table("iris"), []
    for number in ("1", "2"):
        job = _job(root, path, tmp_path / number)
        file = tmp_path / f"job{number}.json"
        file.write_text(json.dumps(job))
        worker = root / "mlbuild/execute/worker.py"
        environment = {"PYTHONHASHSEED": number, "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [sys.executable, str(worker), str(file)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(Path(job["outputs"]["model"]).read_bytes())
    assert found[0] == found[1]


def _job(root, table, scratch):
    params = {
        "header": None, "skip": 0, "delimiter": "auto", "decimal": ".", "missing_values": [""],
        "include": None, "exclude": [], "types": {"sepal width": "category"}, "missing": "error",
        "categories": "one-hot", "unknown": "ignore", "max_categories": 100, "seed": 0,
        "target": "target", "weight": None, "group": None, "evaluate": "training", "folds": 5,
        "holdout": 0.2, "estimator": "RandomForestClassifier", "params": {"n_estimators": 4},
        "steps": ["StandardScaler"], "transform": None, "remainder": "drop", "task": "auto",
        "anomalous": [], "search": {}, "search_folds": 5, "scoring": None,
    }  # fmt: skip
    return {
        "version": 1, "stage": "train", "root": str(scratch), "stages_root": str(root / "stages"),
        "folder": "train/sklearn", "run": "run.py", "coreml": None, "params": params,
        "inputs": {"table": str(table)}, "axes": {}, "threads": 1, "trust": [],
        "outputs": {
            "model": str(scratch / "model.joblib"), "report": str(scratch / "report.json"),
        },
        "metrics": str(scratch / "metrics.json"), "plots": str(scratch / "plots"),
        "scratch": str(scratch / "tmp"),
    }  # fmt: skip
