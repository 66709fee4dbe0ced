"""train/libsvm against LIBSVM and against the formula of its decision function."""

import json

import numpy as np
import pytest
from libsvm.svmutil import svm_load_model, svm_predict

pytestmark = pytest.mark.toolchain
LIBSVM = "train/libsvm"


def learn(run_kind, tmp_path, table, **params):
    ran = run_kind(
        LIBSVM, tmp_path=tmp_path, inputs={"table": table}, params={"target": "target", **params}
    )
    assert ran.ok, ran.error
    return ran


def opened(path):
    """The machine as LIBSVM reads it, and the description in the line that it does not read."""
    *_, last = path.read_text().splitlines()
    mark, _, text = last.partition(" mlbuild.description ")
    assert mark == "#"
    return svm_load_model(str(path)), json.loads(text)


def encoded(path, description):
    import pandas as pd

    frame = pd.read_csv(path)
    return np.stack(
        [(frame[f["column"]] - f["shift"]) * f["factor"] for f in description["features"]], axis=1
    )


def test_the_model_is_one_of_libsvm_and_says_how_columns_are_scaled(run_kind, tmp_path, table):
    path = table("wine")

    ran = learn(run_kind, tmp_path, path, c=10, gamma=0.05)

    machine, description = opened(ran.outputs["model"])
    rows = encoded(path, description)
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(rows.std(axis=0), 1)
    said, _, scores = svm_predict([], rows, machine, "-q -b 1")
    assert np.allclose(np.sum(scores, axis=1), 1)
    truth = np.repeat([0, 1, 2], [59, 71, 48])
    assert (np.array(said) == truth).mean() > 0.98
    assert ran.metrics["accuracy"]["value"] > 0.95
    assert ran.metrics["accuracy"]["n"] == 178
    assert ran.metrics["support_vectors"] == machine.get_nr_sv()
    assert description["labels"] == ["class_0", "class_1", "class_2"]


def test_an_epsilon_regressor_says_what_its_formula_says(run_kind, tmp_path, table):
    path = table("diabetes")

    ran = learn(
        run_kind, tmp_path, path, type="epsilon-svr", kernel="rbf", gamma=0.1, c=50, folds=3
    )

    machine, description = opened(ran.outputs["model"])
    rows = encoded(path, description)[:10]
    vectors = np.array([[sv[k] for k in range(1, 11)] for sv in machine.get_SV()])
    weights = np.array(machine.get_sv_coef())[:, 0]
    apart = ((rows[:, None, :] - vectors[None]) ** 2).sum(axis=-1)
    wanted = np.exp(-0.1 * apart) @ weights - machine.rho[0]
    said, _, _ = svm_predict([], rows, machine, "-q")
    assert np.allclose(said, wanted, rtol=1e-9)
    assert ran.metrics["r2"] > 0.3


@pytest.mark.parametrize(
    ("kind", "kernel", "more"),
    [
        ("c-svc", "linear", {"class_weight": "balanced"}),
        ("c-svc", "polynomial", {"coef0": 1.0, "degree": 2}),
        ("nu-svc", "sigmoid", {"gamma": 0.02, "nu": 0.2}),
        ("c-svc", "rbf", {"probability": False, "scale": "symmetric"}),
    ],
)
def test_every_classifier_and_kernel_learns(run_kind, tmp_path, table, kind, kernel, more):
    ran = learn(run_kind, tmp_path, table("wine"), type=kind, kernel=kernel, folds=3, **more)

    machine, description = opened(ran.outputs["model"])
    assert ran.metrics["accuracy"]["value"] > 0.93
    assert (
        ("log_loss" in ran.metrics) == machine.is_probability_model() == description["probability"]
    )


@pytest.mark.parametrize("kind", ["epsilon-svr", "nu-svr"])
def test_every_regressor_learns(run_kind, tmp_path, table, kind):
    ran = learn(run_kind, tmp_path, table("diabetes"), type=kind, kernel="linear", c=10, folds=3)

    assert ran.metrics["r2"] > 0.4


def test_one_class_finds_what_is_unlike_the_rest(run_kind, tmp_path):
    random = np.random.default_rng(0)
    lines = ["x,y,kind"]
    lines += [f"{x:.4f},{y:.4f},inlier" for x, y in random.normal(size=(95, 2))]
    lines += [f"{x:.4f},{y:.4f},fault" for x, y in 6 + random.normal(size=(5, 2))]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines) + "\n")

    ran = learn(
        run_kind, tmp_path, path, target="kind", type="one-class", nu=0.1, anomalous=["fault"]
    )

    machine, description = opened(ran.outputs["model"])
    said, _, _ = svm_predict([], encoded(path, description), machine, "-q")
    assert ran.metrics["anomalies"]["value"] == pytest.approx((np.array(said) == -1).mean())
    assert 0.02 < ran.metrics["anomalies"]["value"] < 0.2
    assert ran.metrics["roc_auc"] > 0.9
    assert description["task"] == "anomaly"


def test_values_are_searched_inside_the_learnt_rows(run_kind, tmp_path, table):
    ran = learn(
        run_kind, tmp_path, table("wine"), evaluate="training", search_folds=3,
        search={"c": [0.001, 10], "gamma": [0.01, 50]},
    )  # fmt: skip

    found = ran.json("report")["search"]
    assert found["params"] == {"c": 10, "gamma": 0.01}
    assert [row["params"] for row in found["table"]] == [
        {"c": c, "gamma": g} for c in (0.001, 10.0) for g in (0.01, 50.0)
    ]
    assert ran.metrics["search_score"] == max(row["score"] for row in found["table"])
    machine, _ = opened(ran.outputs["model"])
    assert machine.param.gamma == 0.01


def test_a_nu_that_cannot_be_is_told(run_kind, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,target\n" + "".join(f"{n},{'b' if n > 27 else 'a'}\n" for n in range(30)))

    ran = run_kind(
        LIBSVM, tmp_path=tmp_path, inputs={"table": path},
        params={"target": "target", "type": "nu-svc", "nu": 0.9, "evaluate": "training"},
    )  # fmt: skip

    assert ran.error == "LIBSVM cannot learn this: specified nu is infeasible"
    assert ran.hint == "a smaller nu, or c-svc"


def test_the_same_seed_leaves_the_same_bytes(run_kind, tmp_path, table):
    """Probabilities are fitted on rows that the C library's rand() shuffles."""
    path = table("wine")

    first, second, other = (learn(run_kind, tmp_path, path, folds=2, seed=s) for s in (1, 1, 2))

    assert first.outputs["model"].read_bytes() == second.outputs["model"].read_bytes()
    assert first.metrics == second.metrics
    assert first.outputs["model"].read_bytes() != other.outputs["model"].read_bytes()
