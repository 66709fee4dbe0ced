import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from mlbuild.coreml import load  # noqa: E402

pytestmark = pytest.mark.toolchain

KIND = "train/tabular"
QUICK = {"layers": [16], "epochs": 25, "batch_size": 16, "learning_rate": 0.02, "samples": 10}
COLOURS = ["red", "green", "blue"]


def rows(count=120, seed=0):
    """Price follows size and colour; a fifth of the sizes is missing."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        size, colour = random.uniform(10_000, 90_000), COLOURS[random.integers(3)]
        price = size / 1000 + {"red": 0, "green": 30, "blue": 60}[colour]
        missing = random.random() < 0.2
        yield {
            "size": "NA" if missing else f"{size:.1f}",
            "colour": colour,
            "weight": f"{random.normal():.4f}",
            "price": f"{price:.3f}",
            "dear": "yes" if price > 80 else "no",
        }


def table(path, found):
    found = list(found)
    with path.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return path


@pytest.fixture
def prices(tmp_path):
    return table(tmp_path / "prices.csv", rows())


def train(run_kind, tmp_path, source, **params):
    return run_kind(KIND, tmp_path=tmp_path, inputs={"table": source}, params={**QUICK, **params})


def parity(run_kind, tmp_path, trained, **convert):
    converted = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": trained.outputs["model"]},
        params=convert,
    )
    assert converted.ok, converted.error
    compared = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={
            "reference": trained.outputs["model"],
            "candidate": converted.outputs["model"],
            "samples": trained.outputs["samples"],
        },
    )
    assert compared.ok, compared.error
    return converted, compared


def test_a_classifier_takes_columns_of_numbers_and_texts(run_kind, prices, tmp_path):
    trained = train(run_kind, tmp_path, prices, target="dear", exclude=["price"])

    assert trained.ok, trained.error
    assert trained.metrics["accuracy"]["n"] == 24
    assert trained.metrics["accuracy"]["value"] > 0.75
    assert trained.metrics["columns"] == 3
    worth = [row["column"] for row in trained.plots["importance"]]
    assert worth[-1] == "weight"  # it says nothing

    converted, compared = parity(run_kind, tmp_path, trained)
    inputs = {f["name"]: f["type"] for f in converted.json("report")["inputs"]}
    assert inputs == {"size": "double", "weight": "double", "colour": "string"}
    assert compared.metrics["psnr_db"] > 45
    assert compared.metrics["agreement_top1"]["value"] == 1.0

    model = load(converted.outputs["model"])
    given = {"size": 40_000.0, "weight": 0.0, "colour": "blue"}
    told = model.predict(given)
    assert set(told) == {"classLabel", "classLabel_probs"}
    assert sum(told["classLabel_probs"].values()) == pytest.approx(1, abs=2e-3)
    unknown = model.predict({**given, "colour": "mauve"})["classLabel_probs"]
    nothing = model.predict({**given, "colour": ""})["classLabel_probs"]
    assert unknown == nothing != told["classLabel_probs"]
    assert model.predict({**given, "size": float("nan")})["classLabel"] in ("yes", "no")


def test_a_regression_gives_a_number_in_the_targets_own_units(run_kind, prices, tmp_path):
    trained = train(run_kind, tmp_path, prices, target="price", exclude=["dear"], epochs=40)

    assert trained.ok, trained.error
    assert trained.metrics["r2"] > 0.6
    truth = np.array([p["actual"] for p in trained.plots["predictions"]])
    said = np.array([p["predicted"] for p in trained.plots["predictions"]])
    assert trained.metrics["rmse"] == pytest.approx(np.sqrt(((truth - said) ** 2).mean()))
    assert trained.metrics["mae"] == pytest.approx(np.abs(truth - said).mean())

    converted, compared = parity(run_kind, tmp_path, trained)
    outputs = converted.json("report")["outputs"]
    assert [(f["name"], f["type"]) for f in outputs] == [("price", "double")]
    assert compared.metrics["psnr_db"] > 45


def test_numbers_beyond_float16_are_scaled_in_float32(run_kind, prices, tmp_path):
    trained = train(run_kind, tmp_path, prices, target="price", columns=["size", "weight"])
    assert trained.ok, trained.error

    converted, compared = parity(run_kind, tmp_path, trained, precision="float16")

    assert compared.metrics["psnr_db"] > 45  # sizes of up to 90,000 are infinite in float16
    found = load(converted.outputs["model"]).predict({"size": 89_000.0, "weight": 0.0})
    assert np.isfinite(found["price"])


def test_all_numbers_may_be_one_vector(run_kind, prices, tmp_path):
    trained = train(run_kind, tmp_path, prices, target="price", columns=["size", "weight"])
    converted = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": trained.outputs["model"]},
        params={"features": "vector", "precision": "float32"},
    )

    assert converted.ok, converted.error
    assert [f["name"] for f in converted.json("report")["inputs"]] == ["features"]
    model = load(converted.outputs["model"])
    got = model.predict({"features": np.array([50_000.0, 1.0], np.float32)})["price"]
    from mlbuild.stages._shared.torch_model.model_file import load as load_torch

    columns = (torch.tensor([50_000.0]), torch.tensor([1.0]))
    wanted = load_torch(trained.outputs["model"]).net(*columns)
    np.testing.assert_allclose(np.ravel(got), wanted.detach().numpy().ravel(), rtol=1e-5)


def test_texts_cannot_be_a_vector(run_kind, prices, tmp_path):
    trained = train(run_kind, tmp_path, prices, target="dear", columns=["colour", "size"], epochs=1)
    ran = run_kind(
        "convert/coreml",
        tmp_path=tmp_path,
        inputs={"model": trained.outputs["model"]},
        params={"features": "vector"},
    )

    assert ran.error == "features: vector, but the column 'colour' holds texts"


def test_a_test_table_is_read_as_the_training_table_was(run_kind, prices, tmp_path):
    test = table(tmp_path / "test.csv", rows(30, seed=5))
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"table": prices, "test": test},
        params={**QUICK, "target": "dear", "exclude": ["price"], "epochs": 2},
    )

    assert ran.ok, ran.error
    assert ran.metrics["accuracy"]["n"] == 30
    assert ran.json("report")["evaluated_on"] == "the test input"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target": "prise"}, "prices.csv has no target column 'prise'"),
        ({"columns": ["size", "hue"]}, "prices.csv has no column 'hue'"),
        ({"exclude": ["hue"]}, "prices.csv has no column 'hue'"),
        (
            {"types": {"colour": "number"}},
            "prices.csv, line 2: column 'colour' holds numbers, but here stands 'green'",
        ),
        (
            {"types": {"weight": "category"}, "max_categories": 50},
            "column 'weight' has 120 different texts, more than max_categories, 50",
        ),
        (
            {"target": "dear", "task": "regression"},
            "prices.csv, line 2: column 'dear' holds numbers, but here stands 'yes'",
        ),
    ],
)
def test_what_cannot_be_is_told(run_kind, prices, tmp_path, params, message):
    ran = train(run_kind, tmp_path, prices, **params)

    assert ran.kind == "failure"
    assert ran.error == message


def test_a_column_that_the_test_table_lacks_is_told(run_kind, prices, tmp_path):
    less = [{k: v for k, v in row.items() if k != "weight"} for row in rows(10)]
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"table": prices, "test": table(tmp_path / "test.csv", less)},
        params={**QUICK, "target": "dear"},
    )

    assert ran.error == "test.csv has no column 'weight'"


def test_the_same_seed_gives_the_same_bytes(run_kind, prices, tmp_path, tree):
    found = [
        train(run_kind, tmp_path, prices, target="dear", epochs=2, patience=1) for _ in range(2)
    ]
    for output in ("model", "report", "samples"):
        first, second = (tree(ran.outputs[output]) for ran in found)
        assert first == second
