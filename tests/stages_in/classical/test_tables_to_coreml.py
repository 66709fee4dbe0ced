"""From a table with text and gaps to a Core ML model that says what its library says.

The kinds run one after the other as in a pipeline: train, convert, ask the library, compare.
"""

import pytest

pytestmark = pytest.mark.toolchain

LEARNERS = [
    ("train/sklearn", {"estimator": "RandomForestClassifier", "params": {"n_estimators": 5}}),
    ("train/sklearn", {"estimator": "LogisticRegression", "steps": ["StandardScaler"]}),
    ("train/xgboost", {"rounds": 6, "max_depth": 3}),
    ("train/lightgbm", {"rounds": 6, "min_rows": 5, "num_leaves": 4}),
    ("train/libsvm", {"c": 3}),
    # Without a weight some gaps end at one half sharp, where either label is right.
    ("train/xgboost", {"rounds": 6, "missing": "keep", "scale_pos_weight": 1.3}),
    ("train/lightgbm", {"rounds": 9, "min_rows": 3, "missing": "keep", "categories": "native"}),
]
NUMBERS = [
    ("train/sklearn", {"estimator": "Ridge"}),
    ("train/xgboost", {"rounds": 6, "max_depth": 3, "task": "regression"}),
    ("train/lightgbm", {"rounds": 6, "min_rows": 5, "task": "regression"}),
    ("train/libsvm", {"type": "epsilon-svr", "c": 30}),
]


@pytest.fixture
def german(mixed):
    """The same table with semicolons, decimal commas and gaps that are question marks."""
    lines = [line.split(",") for line in mixed.read_text().splitlines()]
    for row in range(3, len(lines) - 1, 9):
        lines[row][0] = "?"
        lines[row + 1][1] = "?"
    text = "\n".join(";".join(cell.replace(".", ",") for cell in line) for line in lines)
    mixed.write_text(text + "\n")
    return mixed


READING = {"missing_values": ["?"], "decimal": ",", "missing": "most-frequent"}


def through(run_kind, tmp_path, table, kind, params):
    """Metrics of validate/parity at the end."""

    def done(stage, inputs, **given):
        ran = run_kind(stage, tmp_path=tmp_path, inputs=inputs, trust=("model",), params=given)
        assert ran.ok, f"{stage}: {ran.error}"
        return ran

    model = done(kind, {"table": table}, evaluate="training", **params).outputs["model"]
    package = done("convert/coreml", {"model": model}).outputs["model"]
    asked = {"model": model, "samples": table}
    answers = done("predict/outputs", asked).outputs["predictions"]
    compared = {"reference": answers, "candidate": package, "samples": table}
    return done("validate/parity", compared).metrics


@pytest.mark.parametrize(("kind", "params"), LEARNERS)
def test_labels_and_probabilities_are_the_librarys(run_kind, tmp_path, german, kind, params):
    params = {"target": "sold", "exclude": ["price"], **READING, **params}

    figures = through(run_kind, tmp_path, german, kind, params)

    assert figures["samples"] == 120
    assert figures["agreement.label"]["value"] == 1.0
    assert figures["max_abs"] < 1e-6  # of probabilities
    assert figures["margin_db"] >= 0


@pytest.mark.parametrize(("kind", "params"), NUMBERS)
def test_numbers_are_the_librarys(run_kind, tmp_path, german, kind, params):
    params = {"target": "price", "exclude": ["sold"], **READING, **params}

    figures = through(run_kind, tmp_path, german, kind, params)

    assert figures["samples"] == 120
    assert figures["max_abs"] < 1e-4  # of prices up to 37, XGBoost's being float32
    assert figures["margin_db"] >= 0


def test_integers_as_labels_stay_integers_on_the_way(run_kind, tmp_path, table):
    path = table("iris")
    text = path.read_text()
    for number, name in ((10, "setosa"), (2, "versicolor"), (-1, "virginica")):
        text = text.replace(name, str(number))
    path.write_text(text)

    for kind, params in LEARNERS[::2]:
        figures = through(run_kind, tmp_path, path, kind, {"target": "target", **params})
        assert figures["agreement.label"] == {
            "value": 1.0, "n": 150, "low": pytest.approx(0.975, abs=1e-3), "high": 1.0,
        }, kind  # fmt: skip
