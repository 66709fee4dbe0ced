import numpy as np
import pytest

pytest.importorskip("torch")
from mlbuild.stages.train.activity_classifier.run import cut
from mlbuild.stages.train.activity_classifier.sessions import Session

pytestmark = pytest.mark.toolchain

KIND = "train/activity-classifier"
QUICK = {
    "window": 16, "filters": [4, 8], "kernel": 3, "recurrent": 8, "dense": 8, "epochs": 12,
    "batch_size": 8, "learning_rate": 0.005, "augment": {"scale": 0.0, "noise": 0.0}, "samples": 8,
    "holdout": 0.25,
}  # fmt: skip


def movement(label, seed, length=32):
    """Two columns: fast or slow, far from 0 and of very different size."""
    random = np.random.default_rng(seed)
    times = np.arange(length)
    speed = {"run": 2.0, "walk": 0.4}[label]
    first = 1000 + 200 * np.sin(speed * times + random.uniform(0, 6)) + random.normal(0, 5, length)
    return np.stack([first, 0.01 * np.cos(speed * times)], axis=1)


def table(path, rows, header="session,x y,y,label"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def lines(label, number):
    return [f"{label}{number},{a:.4f},{b:.6f},{label}" for a, b in movement(label, number)]


@pytest.fixture
def motions(tmp_path):
    rows = [line for n in range(8) for label in ("run", "walk") for line in lines(label, n)]
    return table(tmp_path / "motions.csv", rows)


def test_it_learns_and_its_package_takes_a_column_each(run_kind, motions, tmp_path):
    trained = run_kind(
        KIND, tmp_path=tmp_path, inputs={"sessions": motions}, params={**QUICK, "epochs": 40}
    )

    assert trained.ok, trained.error
    assert trained.metrics["accuracy"]["value"] == 1.0
    assert trained.metrics["accuracy"]["n"] == 8  # windows of the four sessions held out
    assert trained.metrics["session_accuracy"]["n"] == 4
    assert (trained.metrics["sessions"], trained.metrics["windows"]) == (16, 32)
    model = trained.outputs["model"]

    converted = run_kind("convert/coreml", tmp_path=tmp_path, inputs={"model": model})
    assert converted.ok, converted.error
    inputs = converted.json("report")["inputs"]
    assert [(f["name"], f["shape"]) for f in inputs] == [("x_y", [16]), ("y", [16])]

    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": model,
            "candidate": converted.outputs["model"],
            "samples": trained.outputs["samples"],
        },
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 50
    assert parity.metrics["agreement_top1"] == {**parity.metrics["agreement_top1"], "value": 1.0}


def arrays(tmp_path, **more):
    kinds = ["run", "walk"] * 6
    values = np.stack([movement(label, n) for n, label in enumerate(kinds)])
    np.savez(tmp_path / "m.npz", **{"values": values, "labels": np.array(kinds), **more})
    return tmp_path / "m.npz"


def test_arrays_and_the_archive_format_are_read_alike(run_kind, tmp_path, tree):
    kinds = ["run", "walk"] * 6
    values = [movement(label, n).astype(np.float32) for n, label in enumerate(kinds)]
    spoken = [
        ":".join([*(",".join(repr(float(v)) for v in column) for column in one.T), label])
        for one, label in zip(values, kinds, strict=True)
    ]
    (tmp_path / "m.ts").write_text("\n".join(["@classLabel true", "@data", *spoken]))

    quick = {**QUICK, "epochs": 1}
    found = [
        run_kind(KIND, tmp_path=tmp_path, inputs={"sessions": source}, params=quick)
        for source in (arrays(tmp_path), tmp_path / "m.ts")
    ]

    assert all(ran.ok for ran in found), [ran.error for ran in found]
    weights = [tree(ran.outputs["model"])["model.safetensors"] for ran in found]
    assert weights[0] == weights[1]


def test_folders_name_the_label_of_tables_without_a_column_for_it(run_kind, tmp_path):
    for label in ("run", "walk"):
        for n in range(3):
            rows = [line.rpartition(",")[0].partition(",")[2] for line in lines(label, n)]
            table(tmp_path / "all" / label / f"{n}.csv", rows, "x,y")

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"sessions": tmp_path / "all"},
        params={**QUICK, "epochs": 1},
    )

    assert ran.ok, ran.error
    assert ran.metrics["sessions"] == 6
    assert ran.json("report")["labels"] == ["run", "walk"]


def test_a_window_has_its_most_frequent_label_and_a_rest_is_filled():
    values = np.arange(10, dtype=np.float32)[:, None]
    session = Session("s", values, ["a"] * 3 + ["b"] * 7)

    found = cut(session, 4, 0.0)

    assert [label for _, label in found] == ["a", "b", "b"]
    assert found[2][0][:, 0].tolist() == [8, 9, 9, 9]
    assert len(cut(Session("s", values[:9], ["a"] * 9), 4, 0.0)) == 2  # one moment is no window
    assert len(cut(Session("s", values[:1], ["a"]), 4, 0.0)) == 1  # but there is nothing else
    assert len(cut(session, 4, 0.5)) == 4


def test_equal_recordings_stay_on_one_side(run_kind, tmp_path):
    kinds = ["run", "walk"] * 4
    values = np.stack([movement(label, n // 4) for n, label in enumerate(kinds)])  # each twice
    np.savez(tmp_path / "m.npz", values=values, labels=np.array(kinds))

    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"sessions": tmp_path / "m.npz"},
        params={**QUICK, "epochs": 1, "holdout": 0.5},
    )

    assert ran.metrics["session_accuracy"]["n"] == 4  # two pairs of twins, none of them parted


@pytest.mark.parametrize(
    ("spoil", "params", "message"),
    [
        (lambda rows: ["run0,1.0,,run", *rows[1:]], {}, None),
        (
            lambda rows: rows,
            {"columns": ["x y", "z"]},
            "motions.csv has no column 'z'",
        ),
        (lambda rows: rows, {"label_column": "activity"}, "motions.csv has no column 'activity'"),
        (
            lambda rows: rows,
            {"window": 2, "filters": [4, 4]},
            "window: 2 moments are too few for 2 convolutions that halve them",
        ),
        (
            lambda rows: rows[:64],
            {"holdout": 0.5},
            "a held-out part needs at least 2 different examples of each label, "
            "too few have: run (1), walk (1)",
        ),
    ],
)
def test_what_cannot_be_is_told(run_kind, tmp_path, spoil, params, message):
    rows = [line for n in range(4) for label in ("run", "walk") for line in lines(label, n)]
    source = table(tmp_path / "motions.csv", spoil(rows))

    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"sessions": source}, params={**QUICK, **params})

    assert ran.kind == "failure"
    if message is None:
        message = "motions.csv, line 2: column 'y' has no value"
    assert ran.error == message


def test_arrays_of_another_shape_are_told(run_kind, tmp_path):
    source = arrays(tmp_path, values=np.zeros((12, 5)))
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"sessions": source}, params=QUICK)

    assert ran.error == (
        "m.npz: values has shape [12, 5] for 12 labels, needed are [sessions, moments, columns] "
        "and a label for each session"
    )


def test_k_folds_judge_every_window_once(run_kind, motions, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"sessions": motions},
        params={**QUICK, "epochs": 2, "evaluate": "kfold", "folds": 4, "patience": 1},
    )

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 32
    assert ran.metrics["session_accuracy"]["n"] == 16
    assert len(ran.json("report")["fold_accuracy"]) == 4
    assert ran.json("report")["evaluated_on"] == "4 folds"
