"""train/xgboost and train/lightgbm against the libraries and against sums by hand."""

import json
import re

import lightgbm
import numpy as np
import pytest
import xgboost

pytestmark = pytest.mark.toolchain
XGBOOST, LIGHTGBM = "train/xgboost", "train/lightgbm"
KEY = "mlbuild.description"


def learn(run_kind, kind, tmp_path, table, test=None, validation=None, **params):
    inputs = {"table": table, "test": test, "validation": validation}
    ran = run_kind(
        kind,
        tmp_path=tmp_path,
        inputs={role: path for role, path in inputs.items() if path is not None},
        params={"target": "target", **params},
    )
    assert ran.ok, ran.error
    return ran


def numbers_of(path, columns):
    import pandas as pd

    return pd.read_csv(path)[columns].to_numpy(np.float64)


def of_xgboost(path):
    booster = xgboost.Booster()
    booster.load_model(str(path))
    return booster, json.loads(booster.attr(KEY))


def by_hand(model, row):
    """What an XGBoost regressor says of a row, from the text of its file alone."""
    learner = json.loads(model.read_text())["learner"]
    said = float(learner["learner_model_param"]["base_score"])
    for tree in learner["gradient_booster"]["model"]["trees"]:
        node = 0
        while tree["left_children"][node] != -1:
            less = np.float32(row[tree["split_indices"][node]]) < np.float32(
                tree["split_conditions"][node]
            )
            node = tree["left_children" if less else "right_children"][node]
        said += tree["split_conditions"][node]
    return said


def test_what_is_said_before_the_first_tree_is_the_mean_and_stands_in_the_model(
    run_kind, tmp_path, table
):
    """XGBoost 1.7 would begin at 0.5, and converters take that for granted."""
    path = table("diabetes")

    ran = learn(run_kind, XGBOOST, tmp_path, path, task="regression", rounds=4, max_depth=2)

    truth = numbers_of(path, ["target"])[:, 0]
    booster, description = of_xgboost(ran.outputs["model"])
    assert description["base_score"] == np.float32(truth.mean())
    names = [column["name"] for column in description["columns"]]
    rows = numbers_of(path, names)[:20]
    said = booster.predict(xgboost.DMatrix(rows, feature_names=booster.feature_names))
    assert said == pytest.approx([by_hand(ran.outputs["model"], row) for row in rows], rel=1e-6)
    assert abs(said.mean() - truth.mean()) < 60  # four small steps from 0.5 would be near 100


def test_a_given_base_score_is_kept(run_kind, tmp_path, table):
    ran = learn(
        run_kind, XGBOOST, tmp_path, table("diabetes"), task="regression", rounds=1,
        base_score=17.25, evaluate="training",
    )  # fmt: skip

    booster, description = of_xgboost(ran.outputs["model"])
    settings = json.loads(booster.save_config())["learner"]["learner_model_param"]
    assert float(settings["base_score"]) == description["base_score"] == 17.25


def test_xgboost_gives_what_the_library_gives(run_kind, tmp_path, table):
    path, test = table("iris", slice(0, None, 2)), table("iris", slice(1, None, 2), "test.csv")

    ran = learn(run_kind, XGBOOST, tmp_path, path, test, rounds=10, max_depth=3, seed=3)

    booster, description = of_xgboost(ran.outputs["model"])
    names = [column["name"] for column in description["columns"]]
    truth = np.repeat([0, 1, 2], 25)
    learnt, asked = (numbers_of(p, names).astype(np.float32) for p in (path, test))
    settings = {
        "objective": "multi:softprob", "num_class": 3, "max_depth": 3, "eta": 0.3, "seed": 3,
        "tree_method": "hist", "nthread": 1,
    }  # fmt: skip
    oracle = xgboost.train(settings, xgboost.DMatrix(learnt, truth), 10)
    wanted = oracle.predict(xgboost.DMatrix(asked))
    rows = xgboost.DMatrix(asked, feature_names=booster.feature_names)
    assert np.array_equal(booster.predict(rows), wanted)
    assert ran.metrics["accuracy"]["value"] == pytest.approx((wanted.argmax(1) == truth).mean())
    assert ran.metrics["accuracy"]["n"] == 75
    assert ran.metrics["trees"] == 10
    assert description["labels"] == ["setosa", "versicolor", "virginica"]
    assert set(ran.plots) >= {"confusion", "training", "importance"}


@pytest.mark.parametrize("kind", [XGBOOST, LIGHTGBM])
def test_early_stopping_keeps_the_best_rounds_alone(run_kind, tmp_path, table, kind):
    path, aside = table("wine", slice(0, None, 2)), table("wine", slice(1, None, 2), "aside.csv")
    more = {"min_rows": 5} if kind == LIGHTGBM else {}

    ran = learn(
        run_kind, kind, tmp_path, path, validation=aside, rounds=400, early_stopping=3,
        learning_rate=0.5, evaluate="training", **more,
    )  # fmt: skip

    losses = [row["loss"] for row in ran.plots["training"] if row["rows"] == "watched"]
    best = 1 + int(np.argmin(losses))
    assert len(losses) == best + 3 < 400
    assert ran.metrics["trees"] == best
    model = ran.outputs["model"]
    if kind == XGBOOST:
        booster, _ = of_xgboost(model)
        assert booster.num_boosted_rounds() == best
        assert booster.attr("best_iteration") is None
    else:
        assert lightgbm.Booster(model_file=str(model)).current_iteration() == best


@pytest.mark.parametrize("kind", [XGBOOST, LIGHTGBM])
@pytest.mark.parametrize("evaluate", ["kfold", "training"])
def test_rows_that_were_watched_are_learnt_in_the_end(run_kind, tmp_path, table, kind, evaluate):
    path, how = table("wine"), {"learning_rate": 0.5, "folds": 3, "evaluate": evaluate}

    stopped = learn(run_kind, kind, tmp_path, path, rounds=300, early_stopping=5, **how)
    rounds = stopped.metrics["trees"]
    plain = learn(run_kind, kind, tmp_path, path, rounds=rounds, **how)

    assert 1 < rounds < 100
    # LightGBM keeps how many rounds it was asked for; it ends by itself where nothing is left.
    texts = [re.sub(r"num_iterations: \d+", "", ran.text("model")) for ran in (stopped, plain)]
    assert texts[0] == texts[1]
    assert {row["rows"] for row in stopped.plots["training"]} >= {"watched"}


@pytest.mark.parametrize("kind", [XGBOOST, LIGHTGBM])
@pytest.mark.parametrize("categories", ["one-hot", "ordinal", "native"])
def test_text_is_learnt_from(run_kind, tmp_path, mixed, kind, categories):
    more = {"min_rows": 3} if kind == LIGHTGBM else {}

    ran = learn(
        run_kind, kind, tmp_path, mixed, target="price", task="regression", exclude=["sold"],
        categories=categories, folds=3, rounds=60, max_depth=4, **more,
    )  # fmt: skip

    assert ran.metrics["r2"] > 0.95
    importance = {row["feature"]: row["value"] for row in ran.json("report")["importance"]}
    strongest = max(importance, key=importance.get)
    assert strongest.partition("=")[0] in ("colour", "size")


@pytest.mark.parametrize("kind", [XGBOOST, LIGHTGBM])
def test_gaps_are_kept_for_the_trees_or_filled(run_kind, tmp_path, mixed, kind):
    text = mixed.read_text().splitlines()
    for line in range(1, 121, 4):
        text[line] = "," + text[line].split(",", 1)[1]
    mixed.write_text("\n".join(text) + "\n")
    wanted = {"target": "price", "task": "regression", "exclude": ["sold"], "folds": 3}

    kept = learn(run_kind, kind, tmp_path, mixed, missing="keep", **wanted)
    filled = learn(run_kind, kind, tmp_path, mixed, missing="median", **wanted)
    refused = run_kind(kind, tmp_path=tmp_path, inputs={"table": mixed}, params=wanted)

    fills = [_description(kind, ran)["features"][0]["fill"] for ran in (kept, filled)]
    values = [float(line.split(",")[0]) for line in text[1:] if not line.startswith(",")]
    assert fills == [None, pytest.approx(np.median(values))]
    assert refused.error.startswith("mixed.csv, line 2: column 'size' has no value, and so in 29")


def _description(kind, ran):
    if kind == XGBOOST:
        return of_xgboost(ran.outputs["model"])[1]
    line = next(
        line for line in ran.text("model").splitlines() if line.startswith("mlbuild_description=")
    )
    assert line.count("=") == 1  # or LightGBM would not read it
    return json.loads(line.partition("=")[2])


def test_lightgbm_gives_what_the_library_gives(run_kind, tmp_path, table):
    path, test = table("iris", slice(0, None, 2)), table("iris", slice(1, None, 2), "test.csv")

    ran = learn(run_kind, LIGHTGBM, tmp_path, path, test, rounds=10, min_rows=5, num_leaves=4)

    description = _description(LIGHTGBM, ran)
    names = [column["name"] for column in description["columns"]]
    truth = np.repeat([0, 1, 2], 25)
    settings = {
        "objective": "multiclass", "num_class": 3, "num_leaves": 4, "min_data_in_leaf": 5,
        "verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True,
    }  # fmt: skip
    oracle = lightgbm.train(settings, lightgbm.Dataset(numbers_of(path, names), truth), 10)
    asked = numbers_of(test, names)
    model = lightgbm.Booster(model_file=str(ran.outputs["model"]))
    assert np.allclose(model.predict(asked), oracle.predict(asked), rtol=1e-12)
    right = oracle.predict(asked).argmax(1) == truth
    assert ran.metrics["accuracy"]["value"] == pytest.approx(right.mean())


def test_a_column_that_may_only_raise_what_is_said_does(run_kind, tmp_path, mixed):
    for kind in (XGBOOST, LIGHTGBM):
        ran = learn(
            run_kind, kind, tmp_path, mixed, target="price", task="regression",
            include=["size"], monotone={"size": -1}, evaluate="training",
        )  # fmt: skip
        # Prices rise with size: a model that may only fall with it says the mean, nearly.
        assert ran.metrics["r2"] < 0.35, kind


def test_labels_of_few_rows_count_the_same_where_that_is_said(run_kind, tmp_path):
    random = np.random.default_rng(0)
    lines = ["x,target"]
    lines += [f"{random.normal():.3f},common" for _ in range(190)]
    lines += [f"{2 + random.normal():.3f},rare" for _ in range(10)]
    path = tmp_path / "rare.csv"
    path.write_text("\n".join(lines) + "\n")
    how = {"rounds": 10, "max_depth": 2, "folds": 2}

    plain = learn(run_kind, XGBOOST, tmp_path, path, **how)
    balanced = learn(run_kind, XGBOOST, tmp_path, path, class_weight="balanced", **how)

    recalls = [ran.metrics["recall.rare"]["value"] for ran in (plain, balanced)]
    assert recalls[1] >= recalls[0] + 0.3


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        (
            XGBOOST,
            {"objective": "binary:logistic"},
            "objective: binary:logistic is for two labels, 'target' has 3",
        ),
        (
            XGBOOST,
            {"monotone": {"petal lenght": 1}},
            "monotone: 'petal lenght' is no column of numbers that is learnt from",
        ),
        (
            LIGHTGBM,
            {"objective": "binary"},
            "objective: binary is for two labels, 'target' has 3",
        ),
        (
            XGBOOST,
            {"target": "petal width", "exclude": ["target"], "task": "regression",
             "objective": "reg:logistic"},
            "iris.csv, line 52: 'petal width' is 1.4, reg:logistic needs numbers from 0 to 1",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_boosted_is_told(run_kind, tmp_path, table, kind, params, message):
    ran = run_kind(
        kind, tmp_path=tmp_path, inputs={"table": table("iris")},
        params={"target": "target", **params},
    )  # fmt: skip

    assert (ran.error, ran.kind) == (message, "failure")


def test_a_parameter_that_the_library_does_not_take_is_told(run_kind, tmp_path, table):
    inputs = {"table": table("iris")}
    wrong = {"target": "target", "params": {"sampling_method": "upside-down"}}

    ran = run_kind(XGBOOST, tmp_path=tmp_path, inputs=inputs, params=wrong)

    assert ran.kind == "failure"
    assert ran.error.startswith("XGBoost cannot learn this: Invalid Input: 'upside-down'")


def test_a_validation_table_that_nothing_watches_is_told(run_kind, tmp_path, table):
    path = table("iris")

    ran = run_kind(
        LIGHTGBM, tmp_path=tmp_path, inputs={"table": path, "validation": path},
        params={"target": "target"},
    )  # fmt: skip

    assert ran.error == "the input 'validation' is not used"
    assert ran.hint == "it is for early_stopping: give its rounds"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (XGBOOST, {"subsample": 0.6, "colsample": 0.7}),
        (XGBOOST, {"booster": "gblinear"}),
        (XGBOOST, {"booster": "dart", "params": {"rate_drop": 0.3}}),
        (LIGHTGBM, {"subsample": 0.6, "colsample": 0.7, "min_rows": 5}),
        (LIGHTGBM, {"boosting": "rf", "subsample": 0.6, "min_rows": 5}),
    ],
)
def test_the_same_seed_leaves_the_same_bytes(run_kind, tmp_path, table, kind, params):
    path = table("wine")

    first, second = (
        learn(run_kind, kind, tmp_path, path, rounds=5, folds=2, seed=1, **params) for _ in "12"
    )

    assert first.outputs["model"].read_bytes() == second.outputs["model"].read_bytes()
    assert first.metrics == second.metrics
