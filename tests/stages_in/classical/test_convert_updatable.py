"""convert/updatable of scikit-learn: linear models and neighbours that learn on the device."""

import joblib
import numpy as np
import pytest

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning"),  # sklearn's own call
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of multi_class, asked for here
]
KIND = "convert/updatable"


def fitted(estimator, tmp_path, classes=None, scaler=True):
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    kept = y < (classes or 3)
    whole = make_pipeline(StandardScaler(), estimator) if scaler else estimator
    truths = x[:, 3] if not hasattr(estimator, "predict_proba") else names[y]
    whole.fit(x[kept], truths[kept])
    joblib.dump(whole, tmp_path / "model.joblib")
    return tmp_path / "model.joblib"


def convert(run_kind, tmp_path, model, samples=None, **params):
    inputs = {"model": model, **({"samples": samples} if samples else {})}
    return run_kind(KIND, tmp_path=tmp_path, inputs=inputs, params=params, trust=("model",))


def spec_of(ran):
    from mlbuild.coreml.package import open_model

    return open_model(ran.outputs["model"]).spec


@pytest.mark.parametrize(
    ("params", "classes"),
    [
        ({}, 3),  # softmax of three
        ({}, 2),  # a sigmoid
        ({"multi_class": "multinomial"}, 2),  # a softmax of twice the score
    ],
)
def test_a_logistic_regression_keeps_its_probabilities_and_learns(
    run_kind, tmp_path, params, classes
):
    from sklearn.linear_model import LogisticRegression

    model = fitted(LogisticRegression(**params), tmp_path, classes)
    ran = convert(run_kind, tmp_path, model)
    assert ran.ok, ran.error
    assert ran.metrics["largest_difference"] < 1e-5
    assert ran.metrics["loss_after"] < ran.metrics["loss_before"]
    spec = spec_of(ran)
    assert [f.name for f in spec.description.trainingInput] == ["features", "classLabel"]
    assert ran.metrics["trainable_weights"] == 5 * classes


def test_a_table_of_samples_is_learnt_and_judged(run_kind, tmp_path, table):
    from sklearn.linear_model import LogisticRegression

    model = fitted(LogisticRegression(C=0.001), tmp_path)
    ran = convert(
        run_kind, tmp_path, model, renamed(table("iris")),
        target_column="target", learning_rate=0.5, epochs=20, limit=150,
    )  # fmt: skip
    assert ran.ok, ran.error
    before, after = ran.metrics["accuracy_before"], ran.metrics["accuracy_after"]
    assert before["n"] == after["n"] == 150
    assert after["value"] > 0.95 > before["value"]


def renamed(path):
    """The columns as an estimator fitted on an array calls them."""
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["x0,x1,x2,x3,target", *lines[1:]]) + "\n")
    return path


def test_a_line_learns_by_squares(run_kind, tmp_path):
    from sklearn.linear_model import Ridge

    ran = convert(run_kind, tmp_path, fitted(Ridge(), tmp_path), learning_rate=0.02)
    assert ran.ok, ran.error
    assert ran.metrics["largest_difference"] < 1e-5
    loss = spec_of(ran).neuralNetwork.updateParams.lossLayers[0]
    assert loss.WhichOneof("LossLayerType") == "meanSquaredErrorLossLayer"


@pytest.mark.parametrize("scaler", [True, False])
def test_neighbours_vote_as_before_and_remember_what_they_learnt(run_kind, tmp_path, scaler):
    from sklearn.neighbors import KNeighborsClassifier

    from mlbuild.coreml import load

    model = fitted(KNeighborsClassifier(4), tmp_path, scaler=scaler)
    ran = convert(run_kind, tmp_path, model, neighbours={"default": 4, "min": 1, "max": 9})
    assert ran.ok, ran.error
    assert ran.metrics["largest_difference"] < 1e-6
    loaded = load(ran.outputs["model"])
    far = np.array([40.0, -40.0, 40.0, -40.0], dtype=np.float32)
    learned = loaded.update([{"features": far, "classLabel": "setosa"}] * 4).model
    assert loaded.predict({"features": far})["classLabel"] != "setosa"
    assert learned.predict({"features": far})["classLabel"] == "setosa"
    assert spec_of(ran).WhichOneof("Type") == (
        "pipelineClassifier" if scaler else "kNearestNeighborsClassifier"
    )


def refused(run_kind, tmp_path, estimator, **params):
    ran = convert(run_kind, tmp_path, fitted(estimator, tmp_path), **params)
    assert not ran.ok and ran.kind == "failure"
    return ran.error, ran.hint


def test_what_cannot_learn_on_a_device_is_told(run_kind, tmp_path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    error, hint = refused(run_kind, tmp_path, DecisionTreeClassifier())
    assert error == "DecisionTreeClassifier cannot learn on a device"
    assert hint.startswith("allowed: LogisticRegression, KNeighborsClassifier, LinearRegression")
    error, hint = refused(run_kind, tmp_path, LogisticRegression(solver="liblinear"))
    assert error == (
        "a logistic regression of one class against the others is no softmax, which Core ML trains"
    )
    error, hint = refused(run_kind, tmp_path, KNeighborsClassifier(weights="distance"))
    assert hint == "train it with weights: uniform"
    error, _ = refused(run_kind, tmp_path, KNeighborsClassifier(metric="manhattan"))
    assert error == "neighbours by manhattan distance: Core ML knows the Euclidean one"
    error, _ = refused(run_kind, tmp_path, LogisticRegression(), train={"layers": 2})
    assert error == "train: 2 layers, but LogisticRegression is one"


def test_a_pickle_is_read_only_where_it_is_trusted(run_kind, tmp_path):
    from sklearn.linear_model import LogisticRegression

    model = fitted(LogisticRegression(), tmp_path)
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": model})
    assert ran.error == "model.joblib executes what it holds when it is read"
    assert ran.hint == "where you know who wrote it: {from: ..., trust: true}"
