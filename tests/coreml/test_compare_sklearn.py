"""Classical models and pipelines against the scikit-learn estimators that they were made from."""

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import Pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

from mlbuild.coreml import InputError, load  # noqa: E402
from mlbuild.coreml.compare import (  # noqa: E402
    CoreMLReference,
    SklearnReference,
    compare,
    random_samples,
)

pytestmark = pytest.mark.toolchain

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3))
CLASSES = (ROWS.sum(1) > 0) * 1 + (ROWS[:, 0] > 1) * 1


@pytest.fixture
def save(ct, tmp_path):
    """Convert an estimator and save it."""

    def saved(estimator, inputs="input"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ct.converters.sklearn.convert(estimator, inputs, "target")
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlmodel"
        model.save(str(path))
        return path

    return saved


def scaled(last):
    scale = StandardScaler().fit(ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Pipeline([("scale", scale), ("last", last.fit(scale.transform(ROWS), CLASSES))])


def against(reference, path, count=6):
    return compare(SklearnReference(reference), path, random_samples(load(path), count))


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(scaled(LogisticRegression(multi_class="ovr")), id="scaler and regression"),
        pytest.param(scaled(SVC(kernel="rbf", probability=True)), id="scaler and vectors"),
        pytest.param(GradientBoostingRegressor(n_estimators=5).fit(ROWS, ROWS[:, 0]), id="trees"),
    ],
)
def test_nobody_is_accused_of_a_right_conversion(save, estimator):
    found = against(estimator, save(estimator))
    assert found.guilty is None, found.guilty
    assert found.first is None
    assert max(row.float32.max_abs for row in found.outputs) < 1e-5


def test_steps_are_found_where_each_feature_is_an_input_of_its_own(save):
    estimator = scaled(LogisticRegression(multi_class="ovr"))
    found = against(estimator, save(estimator, ["a", "b", "c"]))
    assert found.guilty is None
    names = {row.operator.type: row.reference for row in found.rows}
    assert names["scaler"] == "StandardScaler of scale"


def test_a_scaler_with_other_means_is_named_and_not_the_classifier_behind_it(save):
    estimator = scaled(LogisticRegression(multi_class="ovr"))
    wrong = copy.deepcopy(estimator)
    wrong.steps[0][1].mean_ = wrong.steps[0][1].mean_ + 1
    found = against(estimator, save(wrong))
    assert (found.guilty.operator.type, found.guilty.operator.block) == ("scaler", "0")
    assert [use.type for use in found.guilty.doubtful] == ["glmClassifier"]


def test_a_classifier_with_other_weights_is_named_as_the_only_one(save):
    estimator = scaled(LogisticRegression(multi_class="ovr"))
    wrong = copy.deepcopy(estimator)
    wrong.steps[1][1].coef_ = wrong.steps[1][1].coef_ * 1.1
    found = against(estimator, save(wrong))
    assert (found.guilty.operator.type, found.guilty.operator.block) == ("glmClassifier", "1")
    assert found.guilty.doubtful == ()
    assert found.first.operator.type == "glmClassifier"


def test_the_forest_whose_scores_the_converter_leaves_unaveraged_is_named(save):
    """coremltools gives the sum of the trees' votes where scikit-learn gives their mean."""
    estimator = scaled(RandomForestClassifier(5, max_depth=3, random_state=0))
    found = against(estimator, save(estimator))
    assert found.guilty.operator.type == "treeEnsembleClassifier"
    assert found.guilty.why.startswith(
        "it is given what the reference has, and the output classProbability is off by "
    )


def test_classes_in_another_order_are_told(save):
    estimator = scaled(LogisticRegression(multi_class="ovr"))
    wrong = copy.deepcopy(estimator)
    wrong.steps[1][1].classes_ = np.array([0, 2, 1])
    found = against(estimator, save(wrong))
    assert found.guilty.cause == "labels"
    assert found.guilty.why == (
        "the labels stand in another order: at position 1 is '2', the reference has '1'"
    )


def test_a_pipeline_can_be_the_reference_of_another(save):
    estimator = scaled(LogisticRegression(multi_class="ovr"))
    wrong = copy.deepcopy(estimator)
    wrong.steps[0][1].scale_ = wrong.steps[0][1].scale_ * 2
    right, path = save(estimator), save(wrong)
    samples = random_samples(load(path), 4)
    assert compare(CoreMLReference(right), right, samples).guilty is None
    assert compare(CoreMLReference(right), path, samples).guilty.operator.type == "scaler"


def test_a_sample_of_another_width_is_refused(save):
    estimator = GradientBoostingRegressor(n_estimators=2).fit(ROWS[:, :2], ROWS[:, 0])
    other = GradientBoostingRegressor(n_estimators=2).fit(ROWS, ROWS[:, 0])
    with pytest.raises(InputError) as caught:
        against(estimator, save(other))
    assert str(caught.value) == (
        "the estimator takes no such sample\n  got: X has 3 features, but "
        "GradientBoostingRegressor is expecting 2 features as input."
    )
