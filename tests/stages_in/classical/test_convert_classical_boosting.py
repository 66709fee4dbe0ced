"""XGBoost's, LightGBM's and LIBSVM's models as Core ML, against the libraries themselves."""

import importlib.util
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from libsvm import svmutil

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tools = _beside("classical_tools")
RANDOM = np.random.default_rng(1)
X = RANDOM.normal([5.0, -3.0, 100.0, 0.01], [1.0, 2.0, 20.0, 0.005], (80, 4))
THREE = (X[:, 0] > 5).astype(int) + (X[:, 2] > 110)
TWO = (X[:, 0] + X[:, 1] > 2).astype(int)
NUMBER = X[:, 0] * 3 + X[:, 2] + 40
POSITIVE = np.abs(X[:, 0])
HOLES = np.where(RANDOM.random(X.shape) < 0.2, np.nan, X)
KINDS = np.column_stack([RANDOM.integers(0, 7, 80), X[:, 0], RANDOM.integers(0, 4, 80), X[:, 2]])
KINDS = KINDS.astype(float)
BY_KIND = KINDS[:, 1] + np.isin(KINDS[:, 0], (1, 4, 6)) * 9 + np.isin(KINDS[:, 2], (0, 3)) * 4
COLUMNS = ["a", "b", "c", "d"]


def boosted(params, y, x=X, rounds=5, types=None):
    data = xgboost.DMatrix(x, label=y, feature_types=types, enable_categorical=types is not None)
    if params.get("objective", "").startswith("rank"):
        data.set_group([20, 20, 20, 20])
    if params.get("objective") == "survival:aft":
        data.set_float_info("label_lower_bound", y)
        data.set_float_info("label_upper_bound", y)
    settings = {"nthread": 1, "max_depth": 3, **params}
    return xgboost.train(settings, data, num_boost_round=rounds, verbose_eval=False)


def _named(value):
    return ",".join(map(str, value.values())) if isinstance(value, dict) else ""


XGB = [
    ({"objective": "reg:squarederror"}, NUMBER, X),
    ({"objective": "reg:squarederror", "base_score": 140.0}, NUMBER, HOLES),
    ({"objective": "reg:squaredlogerror"}, POSITIVE, X),
    ({"objective": "reg:pseudohubererror"}, NUMBER, X),
    ({"objective": "reg:absoluteerror"}, NUMBER, X),
    ({"objective": "reg:logistic"}, TWO, X),
    ({"objective": "reg:gamma"}, POSITIVE, X),
    ({"objective": "reg:tweedie", "base_score": 3.0}, POSITIVE, X),
    ({"objective": "count:poisson"}, np.round(POSITIVE), X),
    ({"objective": "survival:cox"}, POSITIVE, X),
    ({"objective": "survival:aft"}, POSITIVE, X),
    ({"objective": "rank:pairwise"}, THREE, X),
    ({"objective": "rank:ndcg"}, THREE, X),
    ({"objective": "binary:logistic"}, TWO, HOLES),
    ({"objective": "binary:logistic", "base_score": 0.2}, TWO, X),
    ({"objective": "binary:logitraw"}, TWO, X),
    ({"objective": "multi:softprob", "num_class": 3}, THREE, HOLES),
    ({"objective": "multi:softmax", "num_class": 3}, THREE, X),
    ({"booster": "dart", "objective": "binary:logistic", "rate_drop": 0.5}, TWO, X),
    ({"booster": "dart", "objective": "reg:squarederror", "rate_drop": 0.5}, NUMBER, X),
    ({"booster": "gblinear", "objective": "reg:squarederror"}, NUMBER, X),
    ({"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}, THREE, X / 10),
    ({"booster": "gblinear", "objective": "binary:logistic"}, TWO, X / 10),
    ({"num_parallel_tree": 3, "objective": "multi:softprob", "num_class": 3}, THREE, X),
]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "y", "x"), XGB, ids=_named
)  # fmt: skip
def test_xgboost_is_answered_as_by_xgboost(params, y, x, tmp_path):
    booster = boosted(params, y, x)

    _, figures = tools.verified(tools.task_of("xgboost", booster, COLUMNS), tmp_path)

    assert figures.rows >= 30


@pytest.mark.parametrize("missing", [False, True])
def test_xgboost_splits_by_sets_of_categories_are_kept(missing, tmp_path):
    kinds = KINDS.copy()
    if missing:
        kinds[::5, 0] = np.nan
    booster = boosted(
        {"tree_method": "hist", "max_cat_to_onehot": 1, "objective": "reg:squarederror"},
        BY_KIND, kinds, types=["c", "q", "c", "q"],
    )  # fmt: skip
    assert b"categories_nodes" in booster.save_raw("json")

    made, figures = tools.verified(tools.task_of("xgboost", booster, COLUMNS), tmp_path)

    assert figures.rows >= 30
    model = tools.opened(tmp_path)
    numbers = [dict(zip(COLUMNS, row, strict=True)) for row in kinds.tolist()]
    said = [model.predict({k: v for k, v in n.items() if k in names(made)}) for n in numbers]
    data = xgboost.DMatrix(kinds, feature_types=["c", "q", "c", "q"], enable_categorical=True)
    assert [s["prediction"] for s in said] == pytest.approx(
        booster.predict(data).tolist(), rel=1e-5
    )


def names(made):
    return {value.name for value in made.inputs}


def test_the_base_score_of_xgboost_is_read_from_the_model(tmp_path):
    """coremltools takes 0.5 whatever the model says: it would be off by 139.5 here."""
    booster = boosted({"objective": "reg:squarederror", "base_score": 140.0}, NUMBER, rounds=1)

    made, _ = tools.verified(tools.task_of("xgboost", booster, COLUMNS), tmp_path)

    trees = made.model.get_spec().treeEnsembleRegressor.treeEnsemble
    assert list(trees.basePredictionValue) == [140.0]


def test_a_wrong_base_score_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    booster = boosted({"objective": "reg:squarederror", "base_score": 140.0}, NUMBER, rounds=1)
    monkeypatch.setattr(tools.shared("xgb"), "_before", lambda score, link: 0.5)

    with pytest.raises(tools.shared("verify").Problem) as told:
        tools.verified(tools.task_of("xgboost", booster, COLUMNS), tmp_path)

    assert str(told.value).startswith("xgboost: the Core ML model's 'prediction' is ")


def test_rounds_after_the_best_one_are_left_out_as_scikit_learns_interface_does(tmp_path):
    model = xgboost.XGBClassifier(
        n_estimators=30, max_depth=4, early_stopping_rounds=2, n_jobs=1, learning_rate=1.0
    )
    model.fit(X[:60], TWO[:60], eval_set=[(X[60:], 1 - TWO[60:])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1

    made, _ = tools.verified(tools.task_of("sklearn", model, COLUMNS), tmp_path)

    trees = {n.treeId for n in made.model.get_spec().treeEnsembleClassifier.treeEnsemble.nodes}
    assert len(trees) == model.best_iteration + 1


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (xgboost.XGBClassifier(n_estimators=4, n_jobs=1), THREE),
        (xgboost.XGBRegressor(n_estimators=4, n_jobs=1), NUMBER),
        (xgboost.XGBRFRegressor(n_estimators=4, n_jobs=1), NUMBER),
        (lightgbm.LGBMClassifier(n_estimators=4, n_jobs=1, min_child_samples=5, verbose=-1), THREE),
        (lightgbm.LGBMRegressor(n_estimators=4, n_jobs=1, min_child_samples=5, verbose=-1), NUMBER),
    ],
    ids=lambda v: type(v).__name__,
)
def test_boosters_inside_of_scikit_learn_pipelines(model, y, tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)

    tools.verified(tools.task_of("sklearn", pipeline, COLUMNS, vector="features"), tmp_path)


def lit(params, y, x=X, rounds=5, categories="auto"):
    settings = {
        "verbosity": -1, "num_threads": 1, "num_leaves": 7, "min_data_in_leaf": 3,
        "min_data_per_group": 2, "cat_smooth": 1.0, "deterministic": True, **params,
    }  # fmt: skip
    group = [20] * 4 if "rank" in params["objective"] else None
    data = lightgbm.Dataset(x, y, group=group, categorical_feature=categories)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightgbm.train(settings, data, num_boost_round=rounds)


LGB = [
    ({"objective": "regression"}, NUMBER, X),
    ({"objective": "regression"}, NUMBER, HOLES),
    ({"objective": "regression", "use_missing": False}, NUMBER, HOLES),
    ({"objective": "regression", "zero_as_missing": True}, NUMBER, np.where(HOLES > 101, 0, HOLES)),
    ({"objective": "regression", "reg_sqrt": True}, NUMBER, X),
    ({"objective": "regression_l1"}, NUMBER, X),
    ({"objective": "huber"}, NUMBER, X),
    ({"objective": "quantile", "alpha": 0.9}, NUMBER, X),
    ({"objective": "mape"}, NUMBER, X),
    ({"objective": "poisson"}, POSITIVE, X),
    ({"objective": "gamma"}, POSITIVE, X),
    ({"objective": "tweedie"}, POSITIVE, X),
    ({"objective": "binary"}, TWO, HOLES),
    ({"objective": "binary", "sigmoid": 2.0}, TWO, X),
    ({"objective": "multiclass", "num_class": 3}, THREE, HOLES),
    ({"objective": "multiclassova", "num_class": 3}, THREE, X),
    ({"objective": "cross_entropy"}, TWO, X),
    ({"objective": "cross_entropy_lambda"}, TWO, X),
    ({"objective": "lambdarank"}, THREE, X),
    ({"objective": "rank_xendcg"}, THREE, X),
    ({"objective": "binary", "boosting": "dart"}, TWO, X),
    ({"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
     NUMBER, X),
]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "y", "x"), LGB, ids=_named
)  # fmt: skip
def test_lightgbm_is_answered_as_by_lightgbm(params, y, x, tmp_path):
    booster = lit(params, y, x)

    _, figures = tools.verified(tools.task_of("lightgbm", booster, COLUMNS), tmp_path)

    assert figures.rows >= 30


@pytest.mark.parametrize("missing", [False, True])
def test_lightgbm_splits_by_sets_of_categories_are_kept(missing, tmp_path):
    kinds = KINDS.copy()
    if missing:
        kinds[::5, 0] = np.nan
    booster = lit({"objective": "regression"}, BY_KIND, kinds, categories=[0, 2])
    assert "==" in {row["decision_type"] for row in booster.trees_to_dataframe().to_dict("records")}

    made, _ = tools.verified(tools.task_of("lightgbm", booster, COLUMNS), tmp_path)

    model = tools.opened(tmp_path)
    numbers = [dict(zip(COLUMNS, row, strict=True)) for row in kinds.tolist()]
    said = [model.predict({k: v for k, v in n.items() if k in names(made)}) for n in numbers]
    wanted = booster.predict(kinds, num_threads=1)
    assert [s["prediction"] for s in said] == pytest.approx(wanted.tolist(), rel=1e-9)


def test_linear_trees_are_refused_by_name(tmp_path):
    booster = lit({"objective": "regression", "linear_tree": True}, NUMBER)

    with pytest.raises(tools.shared("verify").Problem) as told:
        tools.verified(tools.task_of("lightgbm", booster, COLUMNS), tmp_path)

    assert str(told.value) == (
        "LightGBM's linear trees have no counterpart in Core ML: linear_tree=false"
    )


def test_an_objective_that_is_not_mapped_is_refused_by_name(tmp_path):
    booster = boosted({"objective": "binary:hinge"}, TWO)

    with pytest.raises(tools.shared("verify").Problem) as told:
        tools.verified(tools.task_of("xgboost", booster, COLUMNS), tmp_path)

    assert str(told.value) == "XGBoost's objective binary:hinge is not mapped to Core ML"


SCALED = (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("kernel", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "y", "more"),
    [
        (0, THREE, "-b 1"), (0, THREE, ""), (0, TWO, "-b 1"), (1, TWO, "-n 0.2"),
        (2, TWO, "-n 0.3"),
        (3, NUMBER, "-c 10"), (4, NUMBER, "-c 10"),
    ],
)  # fmt: skip
def test_libsvm_is_answered_as_by_libsvm(kernel, kind, y, more, tmp_path):
    settings = svmutil.svm_parameter(f"-q -s {kind} -t {kernel} -g 0.2 -r 0.3 -d 2 {more}")
    native = svmutil.svm_train(svmutil.svm_problem(y.astype(float), SCALED), settings)
    path = tmp_path / "model.libsvm"
    svmutil.svm_save_model(str(path), native)
    model = tools.shared("libsvm_text").read(path)

    task = tools.task_of("libsvm", model, COLUMNS, native=svmutil.svm_load_model(str(path)))
    made, figures = tools.verified(task, tmp_path)

    assert figures.rows >= 30
    shown = [f.name for f in made.model.get_spec().description.output]
    assert ("classProbability" in shown) == ("-b 1" in more)
