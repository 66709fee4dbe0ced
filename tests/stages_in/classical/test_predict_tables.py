"""predict/outputs of models of tables: rows asked in the library itself, answers as files."""

import json

import joblib
import numpy as np
import pytest

pytestmark = pytest.mark.toolchain
ASK = "predict/outputs"


@pytest.fixture
def model(run_kind, tmp_path, table):
    """``model("train/xgboost", rounds=3)``: the file, learnt from every second iris."""
    path = table("iris", slice(0, None, 2))

    def learn(kind, **params):
        wanted = {"target": "target", "evaluate": "training", **params}
        ran = run_kind(kind, tmp_path=tmp_path, inputs={"table": path}, params=wanted)
        assert ran.ok, ran.error
        return ran.outputs["model"]

    return learn


def answers(ran):
    folder = ran.outputs["predictions"]
    with np.load(folder / "arrays.npz", allow_pickle=False) as data:
        return json.loads((folder / "predictions.json").read_text()), dict(data)


@pytest.mark.parametrize(
    ("kind", "params", "form"),
    [
        ("train/sklearn", {"estimator": "GaussianNB"}, "scikit-learn"),
        ("train/xgboost", {"rounds": 5}, "XGBoost"),
        ("train/lightgbm", {"rounds": 5, "min_rows": 4}, "LightGBM"),
        ("train/libsvm", {}, "LIBSVM"),
    ],
)
def test_rows_are_asked_in_the_library(run_kind, tmp_path, table, model, kind, params, form):
    rows = table("iris", slice(1, None, 2), "rows.csv")

    ran = run_kind(
        ASK, tmp_path=tmp_path, inputs={"model": model(kind, **params), "samples": rows},
        params={"limit": 30}, trust=("model",),
    )  # fmt: skip

    assert ran.ok, ran.error
    facts, arrays = answers(ran)
    assert facts["format"] == form
    assert facts["labels"] == ["setosa", "versicolor", "virginica"]
    assert len(facts["samples"]) == 30
    assert facts["samples"][:2] == ["line 2", "line 5"]  # evenly spread over 75 rows
    assert facts["gives"] == {"label": "label", "probabilities": "probabilities"}
    assert facts["reading"]["skip"] == 0
    assert arrays["probabilities"].shape == (30, 3)
    best = np.array(facts["labels"])[arrays["probabilities"].argmax(axis=1)]
    assert (best == arrays["label"]).all()
    lines = rows.read_text().splitlines()
    truth = [lines[int(name.split()[1]) - 1].split(",")[-1] for name in facts["samples"]]
    assert (arrays["label"] == truth).mean() > 0.8
    assert ran.metrics["samples"] == 30


def test_a_part_of_a_table_is_asked_too(run_kind, tmp_path, table, model):
    part = tmp_path / "part"
    part.mkdir()
    table("iris", slice(0, 10), "ten.csv").rename(part / "labels.csv")

    ran = run_kind(ASK, tmp_path=tmp_path, inputs={"model": model("train/libsvm"), "samples": part})

    assert answers(ran)[0]["samples"] == [f"line {n}" for n in range(2, 12)]


def test_a_detector_and_a_reduction_answer_by_name(run_kind, tmp_path, table, model):
    rows = table("iris", slice(1, None, 2), "rows.csv")

    def asked(**params):
        inputs = {"model": model("train/sklearn", **params), "samples": rows}
        return answers(run_kind(ASK, tmp_path=tmp_path, inputs=inputs, trust=("model",)))[1]

    detected = asked(estimator="IsolationForest", exclude=["target"], target=None)
    reduced = asked(estimator="PCA", params={"n_components": 2}, exclude=["target"], target=None)

    assert set(detected) == {"anomaly", "score"}
    assert ((detected["score"] < 0) == (detected["anomaly"] == 1)).all()
    assert reduced["components"].shape == (75, 2)


def test_what_cannot_be_asked_is_told(run_kind, tmp_path, table, model):
    rows = table("iris", slice(0, 5), "rows.csv")
    file = model("train/sklearn", estimator="GaussianNB")

    def told(path, samples, trust=("model",)):
        inputs = {"model": path, "samples": samples}
        ran = run_kind(ASK, tmp_path=tmp_path, inputs=inputs, trust=trust)
        return ran.error, ran.hint

    renamed = tmp_path / "renamed.csv"
    renamed.write_text(rows.read_text().replace("petal width", "petal with"))
    np.savez(tmp_path / "rows.npz", x=np.zeros(4))
    assert told(file, rows, ()) == (
        "model.joblib executes what it holds when it is read",
        "where you know who wrote it: {from: ..., trust: true}",
    )
    assert told(file, renamed) == (
        "renamed.csv has no column 'petal width'",
        "did you mean 'petal with'?",
    )
    assert told(file, tmp_path / "rows.npz") == (
        "samples: rows.npz holds arrays, a model of tables is asked about a table",
        "give a CSV, TSV or Parquet file with the columns that it was trained on",
    )


def test_a_model_of_one_column_of_numbers_meets_text(run_kind, tmp_path, model, table):
    path = table("iris", slice(0, 5), "rows.csv")
    text = path.read_text().splitlines()
    path.write_text("\n".join([*text[:3], text[3].replace("4.7", "tall"), *text[4:]]) + "\n")

    ran = run_kind(
        ASK, tmp_path=tmp_path, inputs={"model": model("train/xgboost"), "samples": path}
    )

    assert ran.error == (
        "rows.csv, line 4: column 'sepal length' holds numbers, but here stands 'tall'"
    )


def test_parquet_and_csv_of_the_same_table_leave_the_same_model(run_kind, tmp_path, table):
    import pandas as pd

    path = table("wine")
    frame = pd.read_csv(path)
    frame["target"] = frame["target"].astype("category")
    frame.to_parquet(tmp_path / "wine.parquet")

    models = []
    for file in (path, tmp_path / "wine.parquet"):
        ran = run_kind(
            "train/sklearn", tmp_path=tmp_path, inputs={"table": file},
            params={"target": "target", "estimator": "DecisionTreeClassifier", "folds": 2},
        )  # fmt: skip
        assert ran.ok, ran.error
        models.append(ran.outputs["model"])

    assert models[0].read_bytes() == models[1].read_bytes()
    assert joblib.load(models[0])["labels"] == ["class_0", "class_1", "class_2"]
