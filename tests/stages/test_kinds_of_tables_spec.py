"""What the specs of the kinds of tables refuse before anything runs."""

import pytest

pydantic = pytest.importorskip("pydantic")

from mlbuild.registry import Registry  # noqa: E402 - after what it needs

KINDS = ("data/table", "train/sklearn", "train/xgboost", "train/lightgbm", "train/libsvm")
TREES = {"target": "y"}


@pytest.fixture(scope="module")
def kinds():
    registry = Registry.load(None, trusted=False)
    return {name: registry.get(name).kind for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_is_explained_and_the_example_holds(kinds, name):
    found = kinds[name]

    found.params(**found.example)
    for parameter, field in found.params.model_fields.items():
        assert field.description, parameter
    assert found.summary.endswith(".")
    assert found.toolchain == "classical"


@pytest.mark.parametrize(
    ("name", "given", "complaint"),
    [
        ("data/table", {"header": ["a", "a"]}, "two columns are called 'a'"),
        ("data/table", {"header": ["a", " "]}, "a column has no name"),
        ("data/table", {"rename": {"a": "c", "b": "c"}}, "'c' is no name, or that of two columns"),
        ("data/table", {"where": {"a": []}}, "'a' has no values, so no row would be left"),
        ("data/table", {"delimiter": ":"}, "Input should be 'auto', 'comma'"),
        ("train/sklearn", {}, "estimator\n  Field required"),
        ("train/sklearn", {"anomalous": ["x"]}, "labels of a target, and there is no target"),
        ("train/sklearn", {"scoring": "r2"}, "is for a search, and there is none"),
        ("train/sklearn", {"search": {"C": []}}, "'C' has no values to choose from"),
        ("train/sklearn", {"search": {"C": [1]}, "params": {"C": 1}}, "'C' stands in params too"),
        ("train/sklearn", {"remainder": "passthrough"}, "there is no transform"),
        (
            "train/sklearn",
            {"missing": "mean", "transform": [{"columns": "number", "steps": ["PCA"]}]},
            "mean is done by `transform`, with a SimpleImputer; say missing: keep",
        ),
        (
            "train/sklearn",
            {"steps": [{"use": "PCA", "name": "a"}, {"use": "NMF", "name": "a"}]},
            "'a' is the name of another step",
        ),
        ("train/sklearn", {"steps": [{"use": "PCA", "parms": {}}]}, "Extra inputs are not"),
        ("train/sklearn", {"target": "y", "weight": "y"}, "'y' has two roles"),
        ("train/sklearn", {"target": "y", "include": ["x", "y"]}, "'y' is the target"),
        ("train/sklearn", {"types": {"x": "number"}, "exclude": ["x"]}, "'x' is excluded"),
        ("train/xgboost", {}, "which column is learnt must be said"),
        ("train/xgboost", {**TREES, "objective": "reg:gamma"}, "reg:gamma is not for class"),
        (
            "train/xgboost",
            {**TREES, "task": "regression", "objective": "multi:softprob"},
            "multi:softprob is not for regression",
        ),
        (
            "train/xgboost",
            {**TREES, "task": "regression", "class_weight": "balanced"},
            "numbers have no classes",
        ),
        (
            "train/xgboost",
            {**TREES, "booster": "gblinear", "early_stopping": 3},
            "a linear model has no trees to leave out",
        ),
        ("train/xgboost", {**TREES, "booster": "dart", "early_stopping": 3}, "dart changes"),
        ("train/xgboost", {**TREES, "booster": "gblinear", "monotone": {"x": 1}}, "is for trees"),
        (
            "train/xgboost",
            {**TREES, "tree_method": "exact", "categories": "native"},
            "exact cannot take categories: native",
        ),
        (
            "train/xgboost",
            {**TREES, "tree_method": "exact", "grow_policy": "lossguide"},
            "exact grows by depth alone",
        ),
        ("train/xgboost", {**TREES, "max_depth": 0}, "0 needs max_leaves"),
        ("train/xgboost", {**TREES, "params": {"eta": 1}}, "'eta' is a parameter of this kind"),
        ("train/lightgbm", {**TREES, "objective": "poisson"}, "poisson is not for classification"),
        ("train/lightgbm", {**TREES, "boosting": "rf"}, "rf needs subsample below 1"),
        (
            "train/lightgbm",
            {**TREES, "boosting": "dart", "early_stopping": 4},
            "dart changes earlier trees",
        ),
        ("train/lightgbm", {**TREES, "params": {"num_threads": 8}}, "'num_threads' is a parameter"),
        ("train/libsvm", {}, "which column is learnt must be said"),
        ("train/libsvm", {**TREES, "type": "nu-svr", "class_weight": "balanced"}, "is for c-svc"),
        ("train/libsvm", {**TREES, "anomalous": ["x"]}, "is for one-class"),
        ("train/libsvm", {"type": "one-class", "anomalous": ["x"]}, "there is no target"),
        ("train/libsvm", {**TREES, "categories": "native"}, "a kernel knows numbers alone"),
        ("train/libsvm", {**TREES, "missing": "keep"}, "a kernel has no way to leave gaps"),
        ("train/libsvm", {**TREES, "weight": "w"}, "LIBSVM takes no weights of rows"),
        ("train/libsvm", {**TREES, "search": {"c": [0]}}, "'c' needs values, all above 0"),
        ("train/libsvm", {**TREES, "search": {"nu": [2]}}, "nu is at most 1"),
        (
            "train/libsvm",
            {"type": "one-class", "search": {"nu": [0.1]}},
            "there is no score for one-class to choose by",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found_before_anything_runs(kinds, name, given, complaint):
    if name == "train/sklearn" and given:
        given = {"estimator": "SVC", **given}
    with pytest.raises(pydantic.ValidationError) as refused:
        kinds[name].params(**given)
    assert complaint in str(refused.value)
