"""convert/coreml on models of tables, as a stage: what it reads, writes, checks and refuses."""

import importlib.util
import json
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import compose, datasets, ensemble, impute, neighbors, pipeline, svm
from sklearn import linear_model as lm
from sklearn import preprocessing as pre

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
KIND = "convert/coreml"
IRIS = datasets.load_iris()


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


tools = _beside("classical_tools")


def written(tmp_path, estimator, name="model.joblib"):
    path = tmp_path / name
    joblib.dump(estimator, path)
    return path


def converted(run_kind, tmp_path, estimator, trust=("model",), inputs=None, **params):
    path = estimator if isinstance(estimator, Path) else written(tmp_path, estimator)
    return run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"model": path, **(inputs or {})},
        params=params,
        trust=trust,
    )


def opened(ran):
    from mlbuild.coreml import load

    assert ran.ok, (ran.error, ran.hint)
    return load(str(ran.outputs["model"]))


def iris():
    return lm.LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target_names[IRIS.target])


def test_a_bare_estimator_becomes_a_package_that_describes_itself(run_kind, tmp_path):
    ran = converted(run_kind, tmp_path, iris())

    model = opened(ran)
    row = dict(zip(["x0", "x1", "x2", "x3"], IRIS.data[100].tolist(), strict=True))
    said = model.predict(row)
    wanted = iris().predict_proba(IRIS.data[100:101])[0]
    assert said["classLabel"] == "virginica"
    assert list(said["classProbability"].values()) == pytest.approx(wanted.tolist(), abs=1e-9)
    described = json.loads(model.description.metadata["user_defined"]["mlbuild.description"])
    assert described["task"] == "classification"
    assert described["labels"] == ["setosa", "versicolor", "virginica"]
    assert described["outputs"] == [
        {"name": "classLabel", "gives": "label"},
        {"name": "classProbability", "gives": "probabilities"},
    ]
    assert [c["name"] for c in described["columns"]] == ["x0", "x1", "x2", "x3"]
    assert ran.metrics["label_agreement"]["value"] == 1.0
    assert ran.metrics["verified_rows"] >= 100
    assert ran.metrics["largest_difference"] < 1e-9
    assert ran.json("report")["models"] == ["glmClassifier"]


def bytes_of(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder): p.read_bytes() for p in files}


def test_equal_models_are_equal_bytes(run_kind, tmp_path):
    first, second = (
        converted(run_kind, tmp_path, pipeline.make_pipeline(pre.StandardScaler(), iris())
                  .fit(IRIS.data, IRIS.target))
        for _ in range(2)
    )  # fmt: skip

    assert bytes_of(first.outputs["model"]) == bytes_of(second.outputs["model"])


def test_one_vector_can_take_all_columns(run_kind, tmp_path):
    ran = converted(run_kind, tmp_path, iris(), features="vector", features_name="flower")

    model = opened(ran)
    assert [f.name for f in model.description.inputs] == ["flower"]
    assert model.predict({"flower": IRIS.data[0]})["classLabel"] == "setosa"


def test_names_come_from_a_table_or_are_given(run_kind, tmp_path):
    names = ["sepal length (cm)", "sepal width", "petal", "π"]
    frame = pd.DataFrame(IRIS.data, columns=names)
    known = lm.Ridge().fit(frame, IRIS.target)

    of_table = opened(converted(run_kind, tmp_path, known))
    given = [{"name": n, "type": "number"} for n in "abcd"]
    bare = lm.Ridge().fit(IRIS.data, IRIS.target)
    of_pipeline = opened(converted(run_kind, tmp_path, bare, columns=given))

    assert [f.name for f in of_table.description.inputs] == names
    assert [f.name for f in of_pipeline.description.inputs] == ["a", "b", "c", "d"]
    wanted = bare.predict(IRIS.data[:1])[0]
    row = dict(zip("abcd", IRIS.data[0].tolist(), strict=True))
    assert of_pipeline.predict(row)["prediction"] == pytest.approx(wanted, rel=1e-12)


def test_outputs_are_called_as_asked(run_kind, tmp_path):
    ran = converted(
        run_kind, tmp_path, iris(), label_output="kind", score_output="chances",
        labels=["a", "b", "c"], author="me", metadata={"k": "v"},
    )  # fmt: skip

    model = opened(ran)
    said = model.predict(dict(zip(["x0", "x1", "x2", "x3"], IRIS.data[0].tolist(), strict=True)))
    assert said["kind"] == "a"
    assert set(said["chances"]) == {"a", "b", "c"}
    assert model.description.metadata["author"] == "me"
    assert model.description.metadata["user_defined"]["k"] == "v"


def shop():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(10, 3, 90),
            "colour": random.choice(np.array(["red", "green", "blue"], dtype=object), 90),
            "shop": random.choice(np.array(["A", "B"], dtype=object), 90),
            "age": random.integers(1, 60, 90).astype(float),
        }
    )
    frame.loc[::7, "size"] = np.nan
    frame.loc[::11, "colour"] = np.nan
    y = np.where((frame["colour"] == "red") ^ (frame["age"] > 30), "yes", "no")
    return frame, y


TYPES = [
    {"name": "size", "type": "number"},
    {"name": "colour", "type": "category"},
    {"name": "shop", "type": "category"},
    {"name": "age", "type": "number"},
]


def columns(encoder, last):
    texts = pipeline.make_pipeline(impute.SimpleImputer(strategy="most_frequent"), encoder)
    return pipeline.make_pipeline(
        compose.ColumnTransformer(
            [
                ("texts", texts, ["colour", "shop"]),
                ("numbers", impute.SimpleImputer(strategy="median"), ["age", "size"]),
            ]
        ),
        last,
    )


FOREST = ensemble.RandomForestClassifier(5, max_depth=4, random_state=0)


@pytest.mark.parametrize(
    ("encoder", "last"),
    [
        (pre.OneHotEncoder(sparse_output=False), FOREST),
        (pre.OneHotEncoder(handle_unknown="ignore", drop="if_binary"), lm.LogisticRegression()),
        (pre.OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist"), FOREST),
        (pre.OrdinalEncoder(), FOREST),
        (pre.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), FOREST),
        (pre.TargetEncoder(cv=2, random_state=0), lm.LogisticRegression()),
    ],
    ids=lambda v: type(v).__name__,
)
def test_texts_and_missing_values_go_the_way_of_scikit_learn(encoder, last, run_kind, tmp_path):
    frame, y = shop()
    model = columns(encoder, last).fit(frame, y)

    ran = converted(run_kind, tmp_path, model, columns=TYPES)

    core = opened(ran)
    for place in (0, 7, 11, 30, 77):
        row = {k: v for k, v in frame.iloc[place].items() if isinstance(v, str) or v == v}
        said = core.predict(row)
        assert said["classLabel"] == model.predict(frame.iloc[place : place + 1])[0]
        wanted = model.predict_proba(frame.iloc[place : place + 1])[0]
        assert list(said["classProbability"].values()) == pytest.approx(wanted.tolist(), abs=1e-6)
    optional = {f.name for f in core.description.inputs if f.optional}
    assert optional == {"size", "colour", "shop", "age"}


def test_an_unknown_category_is_zeros_where_the_encoder_ignores_it(run_kind, tmp_path):
    frame, y = shop()
    model = columns(pre.OneHotEncoder(handle_unknown="ignore"), lm.LogisticRegression())
    model.fit(frame, y)

    core = opened(converted(run_kind, tmp_path, model, columns=TYPES))

    row = {"size": 9.0, "colour": "violet", "shop": "A", "age": 20.0}
    wanted = model.predict_proba(pd.DataFrame([row]))[0]
    said = core.predict(row)["classProbability"]
    assert list(said.values()) == pytest.approx(wanted.tolist(), abs=1e-6)


def test_an_unknown_category_is_an_error_where_the_encoder_refuses_it(run_kind, tmp_path):
    from mlbuild.coreml import CoreMLError

    frame, y = shop()
    model = columns(pre.OneHotEncoder(), FOREST).fit(frame, y)

    core = opened(converted(run_kind, tmp_path, model, columns=TYPES))

    with pytest.raises(CoreMLError, match="an unknown value"):
        core.predict({"size": 9.0, "colour": "violet", "shop": "A", "age": 20.0})


def test_samples_of_a_table_are_compared_too(run_kind, tmp_path):
    table = tmp_path / "rows.csv"
    pd.DataFrame(IRIS.data, columns=["x0", "x1", "x2", "x3"]).to_csv(table, index=False)

    alone = converted(run_kind, tmp_path, iris())
    with_table = converted(run_kind, tmp_path, iris(), inputs={"samples": table})

    assert with_table.metrics["verified_rows"] == alone.metrics["verified_rows"] + 150


# What goes silently wrong elsewhere ------------------------------------------------------------


def test_the_probabilities_of_a_forest_sum_to_one(run_kind, tmp_path):
    """coremltools leaves them to sum to the number of trees."""
    forest = ensemble.RandomForestClassifier(7, random_state=0).fit(IRIS.data, IRIS.target)

    core = opened(converted(run_kind, tmp_path, forest))

    for row in IRIS.data[::30]:
        said = core.predict(dict(zip(["x0", "x1", "x2", "x3"], row.tolist(), strict=True)))
        assert sum(said["classProbability"].values()) == pytest.approx(1.0, abs=1e-9)


def spoil(monkeypatch, module, name, value):
    monkeypatch.setattr(tools.shared(module), name, value)


def refusal(model, folder):
    """What the conversion says of a model that it got wrong."""
    with pytest.raises(tools.shared("verify").Problem) as told:
        tools.verified(tools.task_of("sklearn", model, ["x0", "x1", "x2", "x3"]), folder)
    return told.value


def test_trees_that_are_not_divided_are_noticed(tmp_path, monkeypatch):
    forest = ensemble.RandomForestClassifier(7, random_state=0).fit(IRIS.data, IRIS.target)
    shares = tools.shared("sk_trees").shares
    spoil(monkeypatch, "sk_trees", "shares", lambda inner: shares(inner) * 7)

    told = refusal(forest, tmp_path)

    assert str(told).startswith("RandomForestClassifier: the Core ML model's 'classProbability' is")
    assert told.hint.startswith("nothing was written; the row was x0: ")


def test_what_does_not_agree_is_not_written(run_kind, tmp_path, monkeypatch):
    ridge = lm.Ridge().fit(IRIS.data, IRIS.target)
    monkeypatch.setattr(lm.Ridge, "predict", lambda self, rows: np.full(len(rows), 40.0))

    ran = converted(run_kind, tmp_path, ridge)

    assert ran.kind == "failure"
    assert ran.error.startswith("Ridge: the Core ML model's 'prediction' is ")
    assert ran.error.endswith(" where the library says 40")
    assert not ran.outputs["model"].exists()


def test_a_difference_names_the_step_that_makes_it(tmp_path, monkeypatch):
    from sklearn.decomposition import PCA

    chain = pipeline.make_pipeline(pre.StandardScaler(), PCA(2), lm.LogisticRegression())
    chain.fit(IRIS.data, IRIS.target)
    projected = tools.shared("sk_bayes").projected
    spoil(monkeypatch, "sk_decomposition", "projected", lambda f, m, a: projected(f, m, a * 1.001))

    told = refusal(chain, tmp_path)

    assert str(told).startswith("step 'pca' (PCA): the Core ML model's ")


def test_thresholds_are_asked_as_scikit_learn_rounds(run_kind, tmp_path):
    """A double just above a threshold is rounded onto it by scikit-learn, and goes left."""
    grid = np.array([[0.1], [0.3], [0.7], [0.9]], dtype=np.float32).astype(np.float64)
    tree = ensemble.ExtraTreesRegressor(3, random_state=0).fit(grid, [1.0, 2.0, 3.0, 4.0])
    core = opened(converted(run_kind, tmp_path, tree))
    thresholds = sorted({t for e in tree.estimators_ for t in e.tree_.threshold if t > 0})
    for threshold in thresholds:
        single = float(np.float32(threshold))
        for x in (threshold, single, np.nextafter(single, 1), np.nextafter(single, 0)):
            wanted = tree.predict([[x]])[0]
            assert core.predict({"x0": x})["prediction"] == pytest.approx(wanted, rel=1e-12)


def test_thresholds_as_they_stand_in_the_tree_are_noticed(tmp_path, monkeypatch):
    forest = ensemble.RandomForestClassifier(5, random_state=0).fit(IRIS.data, IRIS.target)
    spoil(monkeypatch, "sk_trees", "at_most", lambda thresholds: np.asarray(thresholds))

    assert str(refusal(forest, tmp_path)).startswith("RandomForestClassifier: the Core ML model")


@pytest.mark.parametrize("seed", range(3))
def test_rounded_comparisons_are_comparisons_of_doubles(seed):
    rounding = tools.shared("rounding")
    random = np.random.default_rng(seed)
    thresholds = np.concatenate(
        [random.normal(size=200), np.float32(random.normal(size=200)), [0.0]]
    )
    single = thresholds.astype(np.float32)
    near = [np.float32(-np.inf), np.float32(np.inf)]
    around = [single, *(np.nextafter(single, n) for n in near)]
    middles = [(a.astype(float) + single.astype(float)) / 2 for a in around]
    for x in [*around, *middles, *(np.nextafter(m, np.inf) for m in middles),
              *(np.nextafter(m, -np.inf) for m in middles)]:  # fmt: skip
        x = np.asarray(x, float)
        assert ((x <= rounding.at_most(thresholds)) == (x.astype(np.float32) <= thresholds)).all()
        assert ((x < rounding.below(single)) == (x.astype(np.float32) < single)).all()


def test_multinomial_logistic_regression_is_a_softmax(tmp_path, monkeypatch):
    spoil(monkeypatch, "sk_linear", "is_multinomial", lambda estimator: False)

    assert str(refusal(iris(), tmp_path)).startswith("LogisticRegression: the Core ML model")


def test_the_label_of_an_svc_is_the_one_that_it_votes_for(run_kind, tmp_path):
    """Its probabilities may prefer another one; Core ML's own label would follow them."""
    random = np.random.default_rng(5)
    grid = random.normal(size=(60, 3))
    y = random.integers(0, 3, 60)
    model = svm.SVC(probability=True, random_state=0, C=100.0).fit(grid, y)

    core = opened(converted(run_kind, tmp_path, model))

    asked = random.normal(size=(60, 3))
    said = [core.predict(dict(zip(["x0", "x1", "x2"], r.tolist(), strict=True))) for r in asked]
    assert [s["classLabel"] for s in said] == model.predict(asked).tolist()
    best = [max(s["classProbability"], key=s["classProbability"].get) for s in said]
    assert best != [s["classLabel"] for s in said]


def test_a_dead_heat_goes_to_the_first_class_as_in_scikit_learn(run_kind, tmp_path):
    grid = np.array([[0.0], [0.0], [1.0], [1.0]])
    forest = ensemble.RandomForestClassifier(50, random_state=0, bootstrap=False)
    forest.fit(grid, ["b", "a", "b", "a"])

    core = opened(converted(run_kind, tmp_path, forest))

    said = core.predict({"x0": 0.0})
    assert said["classLabel"] == forest.predict([[0.0]])[0] == "a"
    assert said["classProbability"] == pytest.approx({"a": 0.5, "b": 0.5})


def test_far_from_zero_distances_are_kept(run_kind, tmp_path):
    """In float32 alone 1e7 + 0.3 and 1e7 + 0.7 would be one number."""
    grid = 1e7 + np.random.default_rng(0).normal(size=(40, 2))
    model = neighbors.KNeighborsRegressor(3).fit(grid, grid.sum(axis=1) % 7)

    core = opened(converted(run_kind, tmp_path, model))

    for row in grid[:10]:
        said = core.predict({"x0": row[0], "x1": row[1]})["prediction"]
        assert said == pytest.approx(model.predict([row])[0], rel=1e-5)


# Refusals ------------------------------------------------------------------------------------


def test_a_pickle_is_not_read_without_trust(run_kind, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "model.joblib"
    path.write_bytes(pickle.dumps(Bomb()))

    ran = converted(run_kind, tmp_path, path, trust=())

    assert (ran.kind, ran.error) == (
        "failure",
        "model.joblib is a pickle, which runs code when it is read",
    )
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_of_another_version_is_told(run_kind, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn.base.__version__", "0.24.2")
    path = written(tmp_path, iris())
    monkeypatch.undo()

    ran = converted(run_kind, tmp_path, path)

    assert ran.error == "model.joblib was written by scikit-learn 0.24.2, here is 1.5.1"
    assert ran.hint == "train it again with this version, for example by train/sklearn"


class Own:
    def predict(self, rows):
        return rows


@pytest.mark.parametrize(
    ("make", "params", "message"),
    [
        (lambda: {"estimator": 3}, {}, "model.joblib holds a int, which is no estimator"),
        (
            lambda: lm.LogisticRegression().fit(IRIS.data, IRIS.target / 2),
            {},
            None,
        ),
        (
            iris,
            {"labels": ["a"]},
            "there are 1 labels for 3 classes",
        ),
        (
            iris,
            {"columns": [{"name": "a", "type": "number"}]},
            "columns: 1 are named, model.joblib takes 4",
        ),
        (
            iris,
            {"float32_ops": ["exp"]},
            "float32_ops: is for networks, this is a model of tables",
        ),
        (
            iris,
            {"format": "neuralnetwork"},
            "format: neuralnetwork is for networks, this is a model of tables",
        ),
        (
            lambda: pre.FunctionTransformer(np.cumsum).fit(IRIS.data),
            {},
            "FunctionTransformer calls cumsum, which is code, not a model",
        ),
        (
            lambda: ensemble.RandomForestClassifier(2).fit(
                IRIS.data, np.stack([IRIS.target, IRIS.target], axis=1)
            ),
            {},
            "RandomForestClassifier predicts 2 labels at once",
        ),
        (
            lambda: columns(pre.OneHotEncoder(), FOREST).fit(*shop()),
            {"columns": [{"name": t["name"], "type": "number"} for t in TYPES]},
            "column 'colour' is taken for numbers, but 'blue' is one of its categories",
        ),
        (
            lambda: columns(pre.OneHotEncoder(), FOREST).fit(*shop()),
            {"columns": TYPES, "features": "vector"},
            "features: vector, but column 'colour' holds texts",
        ),
        (
            lambda: neighbors.KNeighborsClassifier(metric="canberra").fit(IRIS.data, IRIS.target),
            {},
            "the metric 'canberra' is not mapped to Core ML",
        ),
    ],
)
def test_what_cannot_be_converted_is_told(make, params, message, run_kind, tmp_path):
    if message is None:
        model = lm.Ridge().fit(IRIS.data, IRIS.target)
        model.__class__ = type("Ridgy", (lm.Ridge,), {"__module__": "mine"})
        sys.modules["mine"] = type(sys)("mine")
        sys.modules["mine"].Ridgy = type(model)
        message = "Ridgy is a class of mine, which is not mapped to Core ML"
    else:
        model = make()

    ran = converted(run_kind, tmp_path, model, **params)

    assert (ran.kind, ran.error) == ("failure", message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.joblib", b"nothing", "model.joblib cannot be read: "),
        ("model.json", b"{}", "XGBoost cannot read model.json: "),
        ("model.txt", b"tree\nversion=v4\n", "LightGBM cannot read model.txt: "),
        ("model.libsvm", b"svm_type c_svc\n", "model.libsvm is no model of LIBSVM"),
        ("model.bin", b"\x00\x01", "model.bin is no model that is known here"),
    ],
)
def test_files_that_are_no_models_are_told(name, content, message, run_kind, tmp_path):
    (tmp_path / name).write_bytes(content)

    ran = converted(run_kind, tmp_path, tmp_path / name)

    assert ran.kind == "failure"
    assert ran.error.startswith(message)


# Models of the kinds that train -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "params", "file"),
    [
        (
            "train/sklearn",
            {"estimator": "RandomForestClassifier", "params": {"n_estimators": 4}},
            "model.joblib",
        ),
        ("train/sklearn", {"estimator": "LogisticRegression", "missing": "mean"}, "model.joblib"),
        ("train/xgboost", {"rounds": 4, "categories": "one-hot"}, "model.json"),
        ("train/xgboost", {"rounds": 4, "categories": "ordinal"}, "model.json"),
        ("train/lightgbm", {"rounds": 4, "categories": "native"}, "model.txt"),
        ("train/libsvm", {"kernel": "rbf", "missing": "mean"}, "model.libsvm"),
        ("train/libsvm", {"type": "nu-svc", "nu": 0.3, "probability": False}, "model.libsvm"),
    ],
)  # fmt: skip
def test_models_of_training_kinds_convert_with_their_columns(
    kind, params, file, run_kind, tmp_path, mixed
):
    trained = run_kind(
        kind,
        tmp_path=tmp_path,
        inputs={"table": mixed},
        params={"target": "sold", "exclude": ["price"], **params},
    )
    assert trained.ok, (trained.error, trained.hint)
    assert trained.outputs["model"].name == file

    ran = converted(run_kind, tmp_path, trained.outputs["model"], inputs={"samples": mixed})

    core = opened(ran)
    assert {f.name: f.kind for f in core.description.inputs} == {
        "size": "double", "colour": "string", "shop": "string",
    } or {f.name for f in core.description.inputs} <= {"size", "colour", "shop"}  # fmt: skip
    said = core.predict(
        {
            f.name: {"size": 5.0, "colour": "red", "shop": "A"}[f.name]
            for f in core.description.inputs
        }
    )
    assert said["classLabel"] == "yes"
    assert ran.metrics["label_agreement"]["value"] == 1.0


@pytest.mark.parametrize(
    "kind", ["train/sklearn", "train/xgboost", "train/lightgbm", "train/libsvm"]
)
def test_regressors_of_training_kinds_are_called_after_their_target(
    kind, run_kind, tmp_path, mixed
):
    more = {
        "train/sklearn": {"estimator": "Ridge"},
        "train/libsvm": {"type": "epsilon-svr"},
        "train/xgboost": {"task": "regression"},
        "train/lightgbm": {"task": "regression"},
    }[kind]
    trained = run_kind(
        kind,
        tmp_path=tmp_path,
        inputs={"table": mixed},
        params={"target": "price", "exclude": ["sold"], **more},
    )
    assert trained.ok, (trained.error, trained.hint)

    ran = converted(run_kind, tmp_path, trained.outputs["model"])

    assert [f.name for f in opened(ran).description.outputs] == ["price"]
