"""Every estimator that is mapped, as Core ML against scikit-learn's own predictions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import sklearn

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


tools, table = _beside("classical_tools"), _beside("classical_cases")
CASES = list(table.cases())


@pytest.mark.parametrize(("place", "row"), list(enumerate(CASES)), ids=[c.name for c in CASES])
def test_core_ml_says_what_scikit_learn_says(place, row, tmp_path):
    """The conversion itself compares labels, numbers, and sums of probabilities."""
    estimator = table.trained(row)
    columns = [f"x{i}" for i in range(row.x.shape[1])]
    vector = "features" if place % 2 else None  # both ways to give columns, by turns
    task = tools.task_of("sklearn", estimator, columns, vector=vector, **row.given)

    made, figures = tools.verified(task, tmp_path)

    assert tools.complaints(made.model.get_spec()) == []
    assert figures.rows >= 30
    assert figures.difference <= 1e-5
    assert figures.agreed >= figures.rows - 2


def _estimators(value, seen):
    """Every estimator in one, by library, class and the role in which it stands there."""
    seen.add(type(value).__name__)
    for inner in vars(value).values():
        for item in (
            np.ravel(np.asarray(inner, dtype=object)) if isinstance(inner, list) else [inner]
        ):
            for part in item if isinstance(item, tuple) else [item]:
                if isinstance(part, sklearn.base.BaseEstimator):
                    _estimators(part, seen)
    return seen


def test_the_table_has_every_estimator_that_is_mapped():
    registry = tools.shared("registry")
    tools.shared("every")
    seen = set()
    for row in CASES:
        _estimators(row.make(), seen)

    mapped = {e.name for e in registry.entries() if e.library == "sklearn"}

    assert sorted(mapped - seen) == []


def test_the_page_of_estimators_is_made_from_the_registry():
    page = Path(__file__).resolve().parents[3] / "docs" / "classical.md"

    assert tools.shared("page").text() == page.read_text(encoding="utf-8"), (
        "run: PYTHONPATH=. python tools/classical.py with the classical toolchain's Python"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DBSCAN", "DBSCAN cannot become a Core ML model: it only sorts its own training data and "
         "cannot place a new sample"),
        ("NMF", "NMF cannot become a Core ML model: each sample is solved for by iterations until "
         "they agree, which a fixed model cannot"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_by_name_with_the_nearest(name, message, tmp_path):
    from sklearn import cluster, decomposition

    estimator = {"DBSCAN": cluster.DBSCAN, "NMF": decomposition.NMF}[name]()
    estimator.fit(np.abs(table.X))

    with pytest.raises(tools.shared("verify").Problem) as told:
        tools.verified(tools.task_of("sklearn", estimator, ["a", "b", "c", "d"]), tmp_path)

    assert str(told.value) == message
    assert told.value.hint.startswith("the nearest that are: ")
