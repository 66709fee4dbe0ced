"""Classical models against numbers worked out by hand from the specification's formulas."""

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain

from scipy import stats  # noqa: E402

E = math.e


def load(spec, **options):
    from mlbuild.coreml import load_spec
    from mlbuild.coreml.body import Options

    return load_spec(spec, Path(), Options(**options))


def labels(names):
    def write(params):
        field = "stringClassLabels" if isinstance(names[0], str) else "int64ClassLabels"
        getattr(params, field).vector.extend(names)

    return write


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# --- generalized linear models ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        pytest.param(0, 1.75, id="the margin itself"),
        pytest.param(1, sigmoid(1.75), id="logit: its logistic"),
        pytest.param(2, stats.norm.cdf(1.75), id="probit: the normal distribution of it"),
    ],
)
def test_a_linear_regressor_joins_its_inputs_in_their_order(make_spec, transform, expected):
    def fill(params, spec):
        params.weights.add(value=[1.0, -2.0, 0.5, 0.25])
        params.offset.append(0.5)
        params.postEvaluationTransform = transform

    inputs = {"number": "double", "array": "float32[2]", "count": "int64"}
    spec = make_spec("glmRegressor", inputs, {"y": "double"}, fill, "y")
    got = load(spec).predict({"number": 3.0, "array": [1.0, 0.5], "count": 0})
    assert got == {"y": pytest.approx(expected, abs=1e-15)}


def test_a_linear_regressor_with_two_rows_predicts_an_array(make_spec):
    def fill(params, spec):
        params.weights.add(value=[1.0, 2.0])
        params.weights.add(value=[3.0, 4.0])
        params.offset.extend([0.0, -1.0])

    spec = make_spec("glmRegressor", {"x": "float64[2]"}, {"y": "float64[2]"}, fill, "y")
    np.testing.assert_array_equal(load(spec).predict({"x": [1.0, 1.0]})["y"], [3.0, 6.0])


GLM = [
    # encoding, transform, rows, labels, expected probabilities of x = [1, 2]
    pytest.param(
        1, 0, [[1, -1]], ["no", "yes"], [sigmoid(1), sigmoid(-1)], id="one row, two classes"
    ),
    pytest.param(
        0, 1, [[1, -1]], [4, 5], [stats.norm.cdf(1), stats.norm.cdf(-1)], id="probit of two"
    ),
    pytest.param(
        0,
        0,
        [[1, 0], [0, 1]],
        ["a", "b", "c"],
        np.array([1, E, E**2]) / (1 + E + E**2),
        id="multinomial: the first class is the reference",
    ),
    pytest.param(
        1,
        0,
        [[1, 0], [0, 1], [-1, 0]],
        ["a", "b", "c"],
        np.array([sigmoid(1), sigmoid(2), sigmoid(-1)]) / (sigmoid(1) + sigmoid(2) + sigmoid(-1)),
        id="one against the rest",
    ),
]


@pytest.mark.parametrize(("encoding", "transform", "rows", "names", "expected"), GLM)
def test_a_linear_classifiers_probabilities(make_spec, encoding, transform, rows, names, expected):
    def fill(params, spec):
        for row in rows:
            params.weights.add(value=row)
            params.offset.append(0.0)
        params.classEncoding, params.postEvaluationTransform = encoding, transform
        labels(names)(params)

    key = "string" if isinstance(names[0], str) else "int64"
    outputs = {"label": key, "scores": f"{key}->double"}
    spec = make_spec("glmClassifier", {"x": "float64[2]"}, outputs, fill, "label", "scores")
    model = load(spec)
    run = model.run({"x": [1.0, 2.0]}, keep=["margins", "scores"])
    assert run.outputs["label"] == names[int(np.argmax(expected))]
    assert run.outputs["scores"] == pytest.approx(dict(zip(names, expected, strict=True)))
    np.testing.assert_allclose(run.values["scores"], expected, atol=1e-15)
    np.testing.assert_array_equal(run.values["margins"], np.array(rows) @ [1.0, 2.0])
    assert model.description.class_labels == tuple(names)
    assert model.scores_value == "scores"


def test_margins_beyond_the_exponentials_range_are_no_nan(make_spec):
    def fill(params, spec):
        for row in ([1e6], [-1e6], [0.0]):
            params.weights.add(value=row)
            params.offset.append(0.0)
        params.classEncoding = 1
        labels(["a", "b", "c"])(params)

    outputs = {"label": "string", "scores": "string->double"}
    spec = make_spec("glmClassifier", {"x": "double"}, outputs, fill, "label", "scores")
    assert load(spec).predict({"x": 1.0})["scores"] == {
        "a": pytest.approx(2 / 3),
        "b": 0.0,
        "c": pytest.approx(1 / 3),
    }


def test_a_classifier_without_described_probabilities_gives_its_label_only(make_spec):
    def fill(params, spec):
        params.weights.add(value=[1.0])
        params.offset.append(0.0)
        params.classEncoding = 1
        labels(["no", "yes"])(params)

    spec = make_spec("glmClassifier", {"x": "double"}, {"label": "string"}, fill, "label")
    assert load(spec).predict({"x": 0.1}) == {"label": "yes"}


# --- support vectors -------------------------------------------------------------------------

VECTORS = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
POINT = np.array([0.5, 1.0, 2.0])
KERNELS = [
    ("linearKernel", {}, VECTORS @ POINT),
    ("rbfKernel", {"gamma": 0.5}, np.exp(-0.5 * ((VECTORS - POINT) ** 2).sum(1))),
    ("polyKernel", {"gamma": 0.5, "c": 1.0, "degree": 3}, (0.5 * VECTORS @ POINT + 1) ** 3),
    ("sigmoidKernel", {"gamma": 0.1, "c": 0.2}, np.tanh(0.1 * VECTORS @ POINT + 0.2)),
]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("kernel", "options", "expected"), KERNELS)
def test_a_support_vector_regressor_sums_kernels(make_spec, kernel, options, expected, sparse):
    def fill(params, spec):
        kernel_of = getattr(params.kernel, kernel)
        kernel_of.SetInParent()
        for name, value in options.items():
            setattr(kernel_of, name, value)
        add_vectors(params, VECTORS, sparse)
        params.coefficients.alpha.extend([2.0, -1.5])
        params.rho = 0.25

    spec = make_spec("supportVectorRegressor", {"x": "float64[3]"}, {"y": "double"}, fill, "y")
    got = load(spec).predict({"x": POINT})["y"]
    assert got == pytest.approx(2.0 * expected[0] - 1.5 * expected[1] - 0.25, abs=1e-14)


def add_vectors(params, rows, sparse):
    for row in rows:
        if not sparse:
            params.denseSupportVectors.vectors.add(values=row)
            continue
        vector = params.sparseSupportVectors.vectors.add()
        for index, value in enumerate(row, 1):
            if value:
                vector.nodes.add(index=index, value=value)


def machine(make_spec, rho, prob=None):
    """Three classes, one linear support vector for each axis: decisions are easy to see."""

    def fill(params, spec):
        params.kernel.linearKernel.SetInParent()
        add_vectors(params, np.eye(3), False)
        params.numberOfSupportVectorsPerClass.extend([1, 1, 1])
        # against 1 and 2 (class 0), against 0 and 2 (class 1), against 0 and 1 (class 2)
        params.coefficients.add(alpha=[1.0, -1.0, -3.0])
        params.coefficients.add(alpha=[2.0, 5.0, -4.0])
        params.rho.extend(rho)
        if prob:
            params.probA.extend([-1.0, -2.0, -0.5])
            params.probB.extend([0.1, 0.0, -0.1])
        labels([10, 20, 30])(params)

    outputs = {"label": "int64"} | ({"p": "int64->double"} if prob else {})
    return load(
        make_spec(
            "supportVectorClassifier",
            {"x": "float64[3]"},
            outputs,
            fill,
            "label",
            "p" if prob else "",
        )
    )


def test_each_pair_of_classes_decides_by_its_own_coefficients(make_spec):
    run = machine(make_spec, [0.5, 0.0, 1.0]).run({"x": [1.0, 2.0, 3.0]}, keep=["decisions"])
    # 0 and 1: 1*1 - 1*2 - 0.5;  0 and 2: 2*1 - 3*3 - 0;  1 and 2: 5*2 - 4*3 - 1
    np.testing.assert_array_equal(run.values["decisions"], [-1.5, -7.0, -3.0])
    assert run.outputs == {"label": 30}


def test_equal_votes_fall_to_the_first_class(make_spec):
    # 0 beats 1, 2 beats 0, 1 beats 2: one vote each
    assert machine(make_spec, [-9.0, 9.0, -9.0]).predict({"x": [0.0, 0.0, 0.0]}) == {"label": 10}


def test_pairwise_probabilities_are_coupled_to_one_distribution(make_spec):
    run = machine(make_spec, [0.0, 0.0, 0.0], True).run({"x": [1.0, 0.4, 0.2]}, ["decisions"])
    decisions = run.values["decisions"]
    a, b = [-1.0, -2.0, -0.5], [0.1, 0.0, -0.1]
    r01, r02, r12 = (sigmoid(-(s * d + t)) for s, d, t in zip(a, decisions, b, strict=True))
    r = np.array([[0, r01, r02], [1 - r01, 0, r12], [1 - r02, 1 - r12, 0]])
    # the minimum of sum over i != j of (r[j, i] p[i] - r[i, j] p[j])^2, as a linear system
    q = np.diag((r**2).sum(0)) - r * r.T
    system = np.block([[q, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    exact = np.linalg.solve(system, [0, 0, 0, 1])[:3]
    got = np.array([run.outputs["p"][label] for label in (10, 20, 30)])
    np.testing.assert_allclose(got, exact, atol=0.005 / 3)  # where LIBSVM's iteration stops
    assert got.sum() == pytest.approx(1)
    assert run.outputs["label"] == (10, 20, 30)[int(exact.argmax())]


def test_the_pair_of_two_classes_is_not_coupled_and_kept_from_certainty(make_spec):
    def fill(params, spec):
        params.kernel.linearKernel.SetInParent()
        add_vectors(params, np.eye(1), False)
        params.numberOfSupportVectorsPerClass.extend([1, 0])
        params.coefficients.add(alpha=[1.0])
        params.rho.append(0.0)
        params.probA.append(-1.0)
        params.probB.append(0.0)
        labels(["a", "b"])(params)

    outputs = {"label": "string", "p": "string->double"}
    model = load(make_spec("supportVectorClassifier", {"x": "double"}, outputs, fill, "label", "p"))
    assert model.predict({"x": 2.0})["p"] == {
        "a": pytest.approx(sigmoid(2)),
        "b": pytest.approx(1 - sigmoid(2)),
    }
    assert model.predict({"x": 1000.0})["p"] == {"a": 1 - 1e-7, "b": pytest.approx(1e-7)}


# --- trees -----------------------------------------------------------------------------------


def tree_of(params, behaviour=0, value=1.0, missing=False, yes=((0, 10.0),), no=((0, 20.0),)):
    """One branch on element 1, with two leaves."""
    nodes = params.treeEnsemble.nodes
    identity = len({node.treeId for node in nodes})
    nodes.add(
        treeId=identity, nodeId=0, nodeBehavior=behaviour, branchFeatureIndex=1,
        branchFeatureValue=value, trueChildNodeId=1, falseChildNodeId=2,
        missingValueTracksTrueChild=missing,
    )  # fmt: skip
    for number, infos in ((1, yes), (2, no)):
        leaf = nodes.add(treeId=identity, nodeId=number, nodeBehavior=6)
        for index, amount in infos:
            leaf.evaluationInfo.add(evaluationIndex=index, evaluationValue=amount)


def trees(make_spec, fill, base, outputs=None, predicted="y", probabilities=""):
    def write(params, spec):
        params.treeEnsemble.numPredictionDimensions = len(base)
        params.treeEnsemble.basePredictionValue.extend(base)
        fill(params)

    kind = "treeEnsembleClassifier" if probabilities else "treeEnsembleRegressor"
    outputs = outputs or {"y": "double"}
    return load(make_spec(kind, {"x": "float64[2]"}, outputs, write, predicted, probabilities))


@pytest.mark.parametrize(
    ("behaviour", "taken"),
    [
        pytest.param(0, "TTF", id="less than or equal"),
        pytest.param(1, "TFF", id="less than"),
        pytest.param(2, "FTT", id="greater than or equal"),
        pytest.param(3, "FFT", id="greater than"),
        pytest.param(4, "FTF", id="equal"),
        pytest.param(5, "TFT", id="not equal"),
    ],
)
def test_a_branch_compares_in_each_of_six_ways(make_spec, behaviour, taken):
    model = trees(make_spec, lambda params: tree_of(params, behaviour), [0.5])
    got = [model.predict({"x": [99.0, value]})["y"] for value in (0.5, 1.0, 1.5)]
    assert got == [10.5 if side == "T" else 20.5 for side in taken]


@pytest.mark.parametrize("behaviour", range(6))
@pytest.mark.parametrize(("missing", "expected"), [(True, 10.0), (False, 20.0)])
def test_a_missing_value_goes_its_own_way(make_spec, behaviour, missing, expected):
    model = trees(make_spec, lambda p: tree_of(p, behaviour, missing=missing), [0.0])
    assert model.predict({"x": [0.0, math.nan]})["y"] == expected


def test_an_optional_number_that_is_not_given_is_missing(make_spec):
    def fill(params, spec):
        params.treeEnsemble.numPredictionDimensions = 1
        params.treeEnsemble.basePredictionValue.append(0.0)
        tree_of(params, missing=True)

    inputs = {"a": "double", "b": "double?"}
    model = load(make_spec("treeEnsembleRegressor", inputs, {"y": "double"}, fill, "y"))
    assert [model.predict(x)["y"] for x in ({"a": 0.0, "b": 5.0}, {"a": 0.0})] == [20.0, 10.0]


def test_all_trees_add_to_their_dimensions_of_the_base(make_spec):
    def fill(params):
        tree_of(params, yes=[(0, 1.0), (2, 2.0)], no=[(1, 100.0)])
        tree_of(params, value=-5.0, yes=[(0, 50.0)], no=[(2, 0.25)])

    model = trees(make_spec, fill, [0.5, 0.0, -1.0], {"y": "float64[3]"})
    np.testing.assert_array_equal(model.predict({"x": [0.0, 0.0]})["y"], [1.5, 0.0, 1.25])


def test_deep_trees_of_different_depths_are_walked_to_their_leaves(make_spec):
    depth = 300

    def fill(params):
        nodes = params.treeEnsemble.nodes
        for level in range(depth):  # a chain: element 0 > level goes on
            nodes.add(
                treeId=3, nodeId=2 * level, nodeBehavior=3, branchFeatureIndex=0,
                branchFeatureValue=level, trueChildNodeId=2 * level + 2,
                falseChildNodeId=2 * level + 1,
            )  # fmt: skip
            leaf = nodes.add(treeId=3, nodeId=2 * level + 1, nodeBehavior=6)
            leaf.evaluationInfo.add(evaluationValue=level)
        nodes.add(treeId=3, nodeId=2 * depth, nodeBehavior=6).evaluationInfo.add(
            evaluationValue=depth
        )
        alone = nodes.add(treeId=8, nodeId=0, nodeBehavior=6)  # a root that is a leaf
        alone.evaluationInfo.add(evaluationValue=1000.0)

    model = trees(make_spec, fill, [0.0])
    got = [model.predict({"x": [value, 0.0]})["y"] for value in (-1.0, 0.5, 250.5, 1e9)]
    assert got == [1000.0, 1001.0, 1251.0, 1300.0]


SOFTMAX = np.exp([1.0, 2.0, 0.5]) / np.exp([1.0, 2.0, 0.5]).sum()
ZERO = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
TRANSFORMS = [
    # transform, sums, labels, scores, label
    pytest.param(0, [3.0, 1.0], ["a", "b"], [3.0, 1.0], "a", id="sums as they are"),
    pytest.param(0, [0.8], ["a", "b"], [0.2, 0.8], "b", id="one sum: of the second class"),
    pytest.param(0, [0.5], ["a", "b"], [0.5, 0.5], "b", id="one half: the second class"),
    pytest.param(0, [0.5, 0.5], ["a", "b"], [0.5, 0.5], "a", id="equal sums: the first class"),
    pytest.param(1, [1.0, 2.0, 0.5], ["a", "b", "c"], SOFTMAX, "b", id="softmax"),
    pytest.param(2, [-1.0], ["a", "b"], [sigmoid(1), sigmoid(-1)], "a", id="logistic of one"),
    pytest.param(
        2, [-1.0, 2.0, 0.0], [1, 2, 3], [sigmoid(-1), sigmoid(2), 0.5], 2, id="logistic of each"
    ),
    pytest.param(3, [1.0, 2.0], ["a", "b", "c"], ZERO, "c", id="softmax with a zero class"),
    pytest.param(3, [0.7], ["a", "b"], [sigmoid(-0.7), sigmoid(0.7)], "b", id="zero class of two"),
]


@pytest.mark.parametrize(("transform", "sums", "names", "scores", "label"), TRANSFORMS)
def test_sums_of_leaves_become_scores(make_spec, transform, sums, names, scores, label):
    def fill(params):
        tree_of(params, yes=[(0, 0.0)], no=[(0, 7.0)])
        params.postEvaluationTransform = transform
        labels(names)(params)

    key = "string" if isinstance(names[0], str) else "int64"
    outputs = {"label": key, "p": f"{key}->double"}
    model = trees(make_spec, fill, sums, outputs, "label", "p")
    got = model.predict({"x": [0.0, 0.0]})
    assert got["label"] == label
    np.testing.assert_allclose([got["p"][name] for name in names], scores, atol=1e-15)


def test_a_regressor_may_have_a_logistic(make_spec):
    def fill(params):
        tree_of(params, yes=[(0, 1.25)])
        params.postEvaluationTransform = 2

    assert trees(make_spec, fill, [0.25]).predict({"x": [0.0, 0.0]})["y"] == sigmoid(1.5)


# --- nearest neighbours ----------------------------------------------------------------------


def nearest(make_spec, samples, names, k=3, inverse=False, default=None, tree=False, most=None):
    def fill(params, spec):
        index = params.nearestNeighborsIndex
        index.numberOfDimensions = 2
        for sample in samples:
            index.floatSamples.add(vector=sample)
        index.squaredEuclideanDistance.SetInParent()
        if tree:
            index.singleKdTreeIndex.leafSize = 2
        else:
            index.linearIndex.SetInParent()
        params.numberOfNeighbors.defaultValue = k
        params.numberOfNeighbors.range.minValue = 1
        params.numberOfNeighbors.range.maxValue = most or 10
        scheme = "inverseDistanceWeighting" if inverse else "uniformWeighting"
        getattr(params, scheme).SetInParent()
        if names:
            labels(names)(params)
        if default is not None:
            field = "defaultStringLabel" if isinstance(default, str) else "defaultInt64Label"
            setattr(params, field, default)

    key = "int64" if isinstance((names or [default])[0], int) else "string"
    outputs = {"label": key, "shares": f"{key}->double"}
    return make_spec(
        "kNearestNeighborsClassifier", {"x": "float32[2]"}, outputs, fill, "label", "shares"
    )


LINE = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [9.0, 0.0]]
NAMES = ["near", "far", "far", "far", "none"]


@pytest.mark.parametrize("tree", [False, True])
def test_each_neighbour_has_one_vote(make_spec, tree):
    got = load(nearest(make_spec, LINE, NAMES, tree=tree)).predict({"x": [-0.5, 0.0]})
    assert got == {
        "label": "far",
        "shares": {"far": pytest.approx(2 / 3), "near": pytest.approx(1 / 3), "none": 0.0},
    }


def test_votes_by_distance_count_one_by_the_squared_distance(make_spec):
    got = load(nearest(make_spec, LINE, NAMES, inverse=True)).predict({"x": [-0.5, 0.0]})
    near, far = 1 / 0.25, 1 / 2.25 + 1 / 6.25
    assert got == {
        "label": "near",
        "shares": {
            "far": pytest.approx(far / (near + far)),
            "near": pytest.approx(near / (near + far)),
            "none": 0.0,
        },
    }


def test_a_sample_at_the_very_point_outvotes_all_others(make_spec):
    got = load(nearest(make_spec, LINE, NAMES, k=5, inverse=True)).predict({"x": [9.0, 0.0]})
    assert got == {"label": "none", "shares": {"far": 0.0, "near": 0.0, "none": 1.0}}


def test_equal_votes_fall_to_the_smallest_label(make_spec):
    model = load(nearest(make_spec, LINE[:2], [7, 3], k=2))
    assert model.predict({"x": [0.0, 0.0]}) == {"label": 3, "shares": {3: 0.5, 7: 0.5}}


def test_more_neighbours_than_samples_means_all(make_spec):
    model = load(nearest(make_spec, LINE, NAMES, k=9))
    assert model.predict({"x": [0.0, 0.0]})["shares"]["far"] == pytest.approx(3 / 5)


def test_a_model_without_samples_answers_its_default(make_spec):
    model = load(nearest(make_spec, [], [], default="nobody"))
    assert model.predict({"x": [0.0, 0.0]}) == {"label": "nobody", "shares": {"nobody": 1.0}}


def test_the_neighbours_and_their_distances_can_be_kept(make_spec):
    run = load(nearest(make_spec, LINE, NAMES)).trace({"x": [2.9, 0.0]})
    np.testing.assert_array_equal(run.values["neighbors"], [3, 2, 1])
    np.testing.assert_allclose(run.values["distances"], [0.01, 0.81, 3.61], atol=1e-6)


def test_many_samples_are_searched_as_torch_searches_them(make_spec):
    import torch

    rng = np.random.default_rng(0)
    samples = rng.normal(size=(1000, 2)).astype(np.float32)
    model = load(nearest(make_spec, samples.tolist(), rng.integers(0, 4, 1000).tolist()))
    for point in rng.normal(size=(20, 2)).astype(np.float32):
        run = model.run({"x": point}, ["neighbors"])
        distances = torch.cdist(torch.tensor(samples).double(), torch.tensor(point)[None].double())
        expected = distances[:, 0].topk(3, largest=False).indices
        np.testing.assert_array_equal(run.values["neighbors"], expected.numpy())


def test_the_number_of_neighbours_changes_within_its_limits_only(make_spec):
    from mlbuild.coreml import InputError
    from mlbuild.coreml.classical.neighbors import set_neighbors

    spec = nearest(make_spec, LINE, NAMES, k=1, most=4)
    assert load(spec).predict({"x": [-0.5, 0.0]})["label"] == "near"
    set_neighbors(spec, 4)
    assert load(spec).predict({"x": [-0.5, 0.0]})["label"] == "far"
    with pytest.raises(InputError) as error:
        set_neighbors(spec, 5)
    assert str(error.value) == (
        "the model does not allow this number of neighbours\n  got: 5\n  allowed: 1 to 4"
    )
    assert spec.kNearestNeighborsClassifier.numberOfNeighbors.defaultValue == 4


def test_what_coremltools_builder_makes_learns_and_predicts(ct):
    from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder

    builder = KNearestNeighborsClassifierBuilder(
        "x", "label", 2, "unknown", k_range=(1, 5), weighting_scheme="inverse_distance"
    )
    builder.add_samples([[0.0, 0.0], [4.0, 4.0]], ["low", "high"])
    builder.set_number_of_neighbors_with_bounds(2, allowed_range=(1, 5))
    got = load(builder.spec).predict({"x": [1.0, 1.0]})
    assert got["label"] == "low"
    assert got["labelProbs"] == {
        "low": pytest.approx((1 / 2) / (1 / 2 + 1 / 18)),
        "high": pytest.approx((1 / 18) / (1 / 2 + 1 / 18)),
        "unknown": 0.0,
    }


@pytest.mark.parametrize(
    ("default", "names"), [("unknown", ["a", "b"]), (0, [5, 6])], ids=["strings", "integers"]
)
def test_an_empty_model_learns_its_samples_and_the_former_one_stays(ct, default, names):
    from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder

    builder = KNearestNeighborsClassifierBuilder("x", "label", 2, default, number_of_neighbors=1)
    model = load(builder.spec)
    samples = [{"x": [0.0, 0.0], "label": names[0]}, {"x": [4.0, 4.0], "label": names[1]}]
    learned = model.update(samples).model
    points = ([1.0, 1.0], [3.0, 3.0])
    assert [learned.predict({"x": point})["label"] for point in points] == names
    assert [model.predict({"x": point})["label"] for point in points] == [default] * 2
    assert learned.description.class_labels == tuple(sorted([default, *names]))


# --- Bayesian probit -------------------------------------------------------------------------


def probit(make_spec, shape="2", **options):
    def fill(params, spec):
        params.numberOfFeatures = 2
        params.bias.mean, params.bias.precision = 0.5, 4.0
        for feature, value, mean, precision in ((0, 3, 1.0, 2.0), (1, 0, -0.25, 10.0)):
            one = params.features.add(featureId=feature)
            weight = one.weights.add(featureValue=value)
            weight.featureWeight.mean, weight.featureWeight.precision = mean, precision
        params.regressionInputFeatureName = "x"
        params.optimismInputFeatureName = "optimism"
        params.samplingScaleInputFeatureName = "scale"
        params.samplingTruncationInputFeatureName = "cut"
        params.meanOutputFeatureName, params.varianceOutputFeatureName = "mean", "variance"
        params.pessimisticProbabilityOutputFeatureName = "careful"
        params.sampledProbabilityOutputFeatureName = "sampled"

    inputs = {"x": f"int32[{shape}]", "optimism": "double?", "scale": "double?", "cut": "double?"}
    outputs = ["p", "mean", "variance", "careful", "sampled"]
    spec = make_spec("bayesianProbitRegressor", inputs, dict.fromkeys(outputs, "double"), fill, "p")
    return load(spec, **options)


@pytest.mark.parametrize(
    ("x", "mean", "variance"),
    [
        pytest.param([3, 0], 1.25, 1 / 4 + 1 / 2 + 1 / 10, id="bias and both features"),
        pytest.param([9, 0], 0.25, 1 / 4 + 1 / 10, id="a value without a weight adds nothing"),
        pytest.param([9, 9], 0.5, 1 / 4, id="the bias alone"),
    ],
)
def test_a_probit_regressors_gaussians_add_up(make_spec, x, mean, variance):
    got = probit(make_spec).predict({"x": x, "optimism": -1.5})
    assert (got["mean"], got["variance"]) == (pytest.approx(mean), pytest.approx(variance))
    assert got["p"] == pytest.approx(stats.norm.cdf(mean))
    assert got["careful"] == pytest.approx(stats.norm.cdf(mean - 1.5 * math.sqrt(variance)))


def test_features_may_be_given_as_pairs(make_spec):
    got = probit(make_spec, "1,2").predict({"x": [[1, 0]]})
    assert got["mean"] == 0.25
    assert got["careful"] == got["p"]  # no optimism is none


def test_samples_spread_as_the_truncated_posterior(make_spec):
    model = probit(make_spec)
    deviation = math.sqrt(0.85)
    drawn = [
        (stats.norm.ppf(model.predict({"x": [3, 0], "scale": 2.0, "cut": 1.0})["sampled"]) - 1.25)
        / (2 * deviation)
        for _ in range(400)
    ]
    # Kolmogorov-Smirnov: one seedless run in ten thousand exceeds this
    assert stats.kstest(drawn, stats.truncnorm(-1, 1).cdf).pvalue > 1e-4


def test_a_seed_repeats_the_sample(make_spec):
    first, again, other = (
        probit(make_spec, seed=seed).predict({"x": [3, 0]})["sampled"] for seed in (1, 1, 2)
    )
    assert first == again != other


# --- features --------------------------------------------------------------------------------


def encoder(make_spec, categories, sparse, ignore, output):
    def fill(params, spec):
        field = "stringCategories" if isinstance(categories[0], str) else "int64Categories"
        getattr(params, field).vector.extend(categories)
        params.outputSparse, params.handleUnknown = sparse, int(ignore)

    kind = "string" if isinstance(categories[0], str) else "int64"
    return load(make_spec("oneHotEncoder", {"x": kind}, {"y": output}, fill))


def test_a_category_becomes_an_array_with_a_single_one(make_spec):
    model = encoder(make_spec, ["a", "b", "c"], False, True, "float64[3]")
    got = [model.predict({"x": category})["y"].tolist() for category in ("b", "never")]
    assert got == [[0, 1, 0], [0, 0, 0]]


def test_a_category_becomes_a_dictionary_of_one(make_spec):
    model = encoder(make_spec, [30, 10, 20], True, True, "int64->double")
    assert [model.predict({"x": x})["y"] for x in (20, 5)] == [{2: 1.0}, {}]


def test_an_unknown_category_is_an_error_where_the_model_says_so(make_spec):
    from mlbuild.coreml import InputError

    with pytest.raises(InputError) as error:
        encoder(make_spec, ["a", "b"], False, False, "float64[2]").predict({"x": "z"})
    assert str(error.value) == "input 'x': an unknown category\n  got: 'z'\n  allowed: 'a', 'b'"


NAN = math.nan
IMPUTED = [
    # feature, imputed field, imputed, replace field, replace, given, expected
    ("double", "imputedDoubleValue", 1.5, None, None, NAN, 1.5),
    ("double", "imputedDoubleValue", 1.5, "replaceDoubleValue", -1.0, -1.0, 1.5),
    ("double", "imputedDoubleValue", 1.5, "replaceDoubleValue", -1.0, 2.0, 2.0),
    ("double?", "imputedDoubleValue", 1.5, None, None, None, 1.5),
    ("int64", "imputedInt64Value", 7, "replaceInt64Value", -1, -1, 7),
    ("int64", "imputedInt64Value", 7, "replaceInt64Value", -1, 3, 3),
    ("string", "imputedStringValue", "none", "replaceStringValue", "", "", "none"),
    ("string?", "imputedStringValue", "none", None, None, None, "none"),
    ("float64[3]", "imputedDoubleValue", 1.5, None, None, [1, NAN, NAN], [1, 1.5, 1.5]),
    ("float64[3]", "imputedDoubleArray", [1, 2, 3], None, None, [NAN, 9, NAN], [1, 9, 3]),
    ("float64[2]", "imputedDoubleArray", [1, 2], "replaceDoubleValue", 0.0, [0, NAN], [1, NAN]),
    ("int32[2]", "imputedInt64Array", [5, 6], "replaceInt64Value", -1, [-1, 2], [5, 2]),
    ("string->double", "imputedStringDictionary", {"a": 1, "b": 2}, None, None,
     {"b": 9.0, "c": 3.0}, {"a": 1.0, "b": 9.0, "c": 3.0}),
    ("int64->double", "imputedInt64Dictionary", {1: 0.5}, None, None, {1: NAN}, {1: 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("feature", "field", "imputed", "replace", "value", "given", "expected"), IMPUTED
)
def test_missing_values_are_imputed(
    make_spec, feature, field, imputed, replace, value, given, expected
):
    def fill(params, spec):
        if isinstance(imputed, dict):
            for key, number in imputed.items():
                getattr(params, field).map[key] = number
        elif isinstance(imputed, list):
            getattr(params, field).vector.extend(imputed)
        else:
            setattr(params, field, imputed)
        if replace:
            setattr(params, replace, value)

    model = load(make_spec("imputer", {"x": feature}, {"y": feature.rstrip("?")}, fill))
    got = model.predict({} if given is None else {"x": given})["y"]
    if isinstance(expected, list):
        np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


def scaled(make_spec, input_, output, shift, scale):
    def fill(params, spec):
        params.shiftValue.extend(shift)
        params.scaleValue.extend(scale)

    return load(make_spec("scaler", {"x": input_}, {"y": output}, fill))


@pytest.mark.parametrize(
    ("input_", "output", "shift", "scale", "given", "expected"),
    [
        pytest.param("double", "double", [2.0], [0.5], 4.0, 3.0, id="a number"),
        pytest.param("double", "double", [], [], 4.0, 4.0, id="nothing given: nothing done"),
        pytest.param("int64", "double", [1.0], [0.5], 4, 2.5, id="an integer to a double"),
        pytest.param("int64", "int64", [1.0], [0.5], 5, 3, id="an integer to a whole number"),
        pytest.param(
            "float64[2]", "float64[2]", [1.0], [2.0, 3.0], [1, 1], [4, 6], id="one shift for all"
        ),
    ],
)
def test_a_scaler_shifts_and_then_scales(make_spec, input_, output, shift, scale, given, expected):
    got = scaled(make_spec, input_, output, shift, scale).predict({"x": given})["y"]
    np.testing.assert_array_equal(got, expected)


def test_a_scaled_integer_that_is_not_whole_is_an_error(make_spec):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as error:
        scaled(make_spec, "int64", "int64", [], [0.5]).predict({"x": 3})
    assert str(error.value) == "output 'y': the scaled number is not whole\n  got: 1.5"


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        pytest.param(0, [3 / 3, -4 / 3], id="max is the greatest element, not absolute"),
        pytest.param(1, [3 / 7, -4 / 7], id="L1"),
        pytest.param(2, [3 / 5, -4 / 5], id="L2"),
    ],
)
def test_a_vector_is_divided_by_its_norm(make_spec, norm, expected):
    def fill(params, spec):
        params.normType = norm

    model = load(make_spec("normalizer", {"x": "float64[2]"}, {"y": "float64[2]"}, fill))
    np.testing.assert_allclose(model.predict({"x": [3, -4]})["y"], expected, rtol=1e-15)
    np.testing.assert_array_equal(model.predict({"x": [0, 0]})["y"], [0, 0])


def test_a_dictionary_becomes_an_array_by_its_keys_positions(make_spec):
    def fill(params, spec):
        params.stringToIndex.vector.extend(["a", "c", "b", "z"])

    outputs = ("float64[4]", "int64->double")
    array, sparse = (
        load(make_spec("dictVectorizer", {"x": "string->double"}, {"y": output}, fill))
        for output in outputs
    )
    given = {"x": {"a": 4, "c": 8}}
    np.testing.assert_array_equal(array.predict(given)["y"], [4, 8, 0, 0])
    assert sparse.predict(given)["y"] == {0: 4.0, 1: 8.0}


def test_features_are_joined_in_the_order_of_the_columns(make_spec):
    def fill(params, spec):
        for name, size in (("sparse", 3), ("array", 2), ("count", 1)):
            params.inputList.add(inputColumn=name, inputDimensions=size)

    inputs = {"count": "int64", "array": "float32[2]", "sparse": "int64->double"}
    model = load(make_spec("featureVectorizer", inputs, {"y": "float64[6]"}, fill))
    got = model.predict({"count": 9, "array": [1.5, 2.5], "sparse": {2: 7.0}})["y"]
    np.testing.assert_array_equal(got, [0, 0, 7, 1.5, 2.5, 9])


@pytest.mark.parametrize(
    ("output", "positions", "expected"),
    [
        pytest.param("float64[3]", [5, 0, 5], [6, 1, 6], id="several, one of them twice"),
        pytest.param("double", [4], 5.0, id="one as a double"),
        pytest.param("int64", [3], 4, id="one as an integer"),
    ],
)
def test_elements_are_extracted_by_their_position_row_by_row(
    make_spec, output, positions, expected
):
    def fill(params, spec):
        params.extractIndex.extend(positions)

    spec = make_spec("arrayFeatureExtractor", {"x": "float64[2,3]"}, {"y": output}, fill)
    got = load(spec).predict({"x": [[1, 2, 3], [4, 5, 6]]})["y"]
    np.testing.assert_array_equal(got, expected)


def mapping(make_spec, table, default=None, sequence=False):
    key, value = ("string", "int64") if isinstance(next(iter(table)), str) else ("int64", "string")

    def fill(params, spec):
        field = "stringToInt64Map" if key == "string" else "int64ToStringMap"
        getattr(params, field).map.update(table)
        if default is not None:
            setattr(params, "strValue" if isinstance(default, str) else "int64Value", default)

    before, after = (f"sequence {kind}" if sequence else kind for kind in (key, value))
    return load(make_spec("categoricalMapping", {"x": before}, {"y": after}, fill))


@pytest.mark.parametrize(
    ("table", "default", "sequence", "given", "expected"),
    [
        pytest.param({"a": 1, "b": 2}, None, False, "b", 2, id="string to integer"),
        pytest.param({"a": 1}, -1, False, "q", -1, id="an unknown string"),
        pytest.param({1: "a", 2: "b"}, "?", False, 2, "b", id="integer to string"),
        pytest.param({1: "a"}, "?", False, 9, "?", id="an unknown integer"),
        pytest.param({"a": 1, "b": 2}, 0, True, ["b", "q", "a"], [2, 0, 1], id="a sequence"),
    ],
)
def test_categories_are_mapped(make_spec, table, default, sequence, given, expected):
    assert mapping(make_spec, table, default, sequence).predict({"x": given})["y"] == expected


def test_an_unknown_value_without_a_default_is_an_error(make_spec):
    from mlbuild.coreml import InputError

    with pytest.raises(InputError) as error:
        mapping(make_spec, {"a": 1}).predict({"x": "b"})
    assert str(error.value) == "input 'x': an unknown value\n  got: 'b'"


# --- recommendations -------------------------------------------------------------------------


def recommender(make_spec, given="string->double", names=("ale", "bun", "cod", "dip"), shift=0.0):
    def fill(params, spec):
        lists = {0: [(1, 0.5), (2, 0.25)], 3: [(2, 0.5)]}
        for item, similar in lists.items():
            one = params.itemItemSimilarities.add(itemId=item)
            for other, score in similar:
                one.similarItemList.add(itemId=other, similarityScore=score)
        params.itemItemSimilarities.add(itemId=2, itemScoreAdjustment=shift)
        params.itemStringIds.vector.extend(names)
        params.itemInputFeatureName = "given"
        params.numRecommendationsInputFeatureName = "count"
        params.itemRestrictionInputFeatureName = "only"
        params.itemExclusionInputFeatureName = "without"
        params.recommendedItemListOutputFeatureName = "items"
        params.recommendedItemScoreOutputFeatureName = "scores"

    strings = "sequence string?"
    inputs = {"given": given, "count": "int64?", "only": strings, "without": strings}
    outputs = {"items": "sequence string", "scores": "string->double"}
    return load(make_spec("itemSimilarityRecommender", inputs, outputs, fill))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param({"given": {"ale": 2.0}}, {"bun": 1.0, "cod": 0.5, "dip": 0.0}, id="one item"),
        pytest.param(
            {"given": {"ale": 1.0, "dip": 3.0, "never": 9.0}},
            {"cod": 1.75, "bun": 0.5},
            id="scores add up, unknown items do nothing",
        ),
        pytest.param({"given": {"ale": 2.0}, "count": 1}, {"bun": 1.0}, id="so many"),
        pytest.param({"given": {"ale": 2.0}, "only": ["cod", "ale"]}, {"cod": 0.5}, id="of these"),
        pytest.param(
            {"given": {"ale": 2.0}, "without": ["bun"]},
            {"cod": 0.5, "ale": 0.0, "dip": 0.0},
            id="an exclusion list replaces the given items",
        ),
    ],
)
def test_similar_items_are_recommended_best_first(make_spec, inputs, expected):
    got = recommender(make_spec).predict(inputs)
    assert got == {"items": list(expected), "scores": pytest.approx(expected)}


def test_an_items_adjustment_is_taken_from_each_given_score(make_spec):
    got = recommender(make_spec, shift=0.5).predict({"given": {"ale": 2.0, "dip": 1.0}})
    assert got["scores"]["cod"] == pytest.approx(0.25 * (2.0 - 0.5) + 0.5 * (1.0 - 0.5))


def test_items_in_a_sequence_count_one_each(make_spec):
    got = recommender(make_spec, "sequence string").predict({"given": ["ale", "dip"]})
    assert got["scores"] == {"cod": pytest.approx(0.75), "bun": 0.5}


# --- suppression, thresholds, sound ----------------------------------------------------------

BOXES = [[5, 5, 10, 10], [6, 5, 10, 10], [50, 50, 10, 10], [5, 6, 10, 10]]
CONFIDENCES = [[0.6, 0.1], [0.9, 0.05], [0.2, 0.3], [0.1, 0.7]]


def suppression(make_spec, per_class=False, iou=0.5, floor=0.0, rows=None):
    def fill(params, spec):
        params.pickTop.perClass = per_class
        params.iouThreshold, params.confidenceThreshold = iou, floor
        params.confidenceInputFeatureName, params.coordinatesInputFeatureName = "c", "b"
        params.confidenceOutputFeatureName, params.coordinatesOutputFeatureName = "kept", "boxes"
        params.iouThresholdInputFeatureName = "iou"
        params.confidenceThresholdInputFeatureName = "floor"
        params.stringClassLabels.vector.extend(["cat", "dog"])
        if isinstance(rows, tuple):
            for feature in spec.description.output:
                array = feature.type.multiArrayType
                low, high = rows
                array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
                columns = 2 if feature.name == "kept" else 4
                array.shapeRange.sizeRanges.add(lowerBound=columns, upperBound=columns)

    inputs = {"c": "float64[]", "b": "float64[]", "iou": "double?", "floor": "double?"}
    fixed = isinstance(rows, int)
    outputs = {
        "kept": f"float64[{rows},2]" if fixed else "float64[]",
        "boxes": f"float64[{rows},4]" if fixed else "float64[]",
    }
    return load(make_spec("nonMaximumSuppression", inputs, outputs, fill))


# Boxes 0 and 1 overlap by 90 / 110, 0 and 3 too, 1 and 3 by 81 / 119.
SUPPRESSED = [
    pytest.param({}, {}, [1, 2], id="the best of those that overlap"),
    pytest.param({"per_class": True}, {}, [1, 3, 2], id="of each class"),
    pytest.param({"iou": 0.7}, {}, [1, 3, 2], id="overlaps up to the threshold stay"),
    pytest.param({"iou": 1.0}, {}, [1, 3, 0, 2], id="a threshold of one suppresses nothing"),
    pytest.param({"floor": 0.3}, {}, [1, 2], id="a confidence at the threshold stays"),
    pytest.param({"floor": 0.31}, {}, [1], id="less confident boxes are dropped"),
    pytest.param({"iou": 1.0}, {"iou": 0.5}, [1, 2], id="the overlap's threshold as an input"),
    pytest.param({}, {"floor": 0.5}, [1], id="the confidence's threshold as an input"),
]


@pytest.mark.parametrize(("options", "inputs", "expected"), SUPPRESSED)
def test_overlapping_boxes_are_suppressed(make_spec, options, inputs, expected):
    model = suppression(make_spec, **options)
    got = model.predict({"c": CONFIDENCES, "b": BOXES, **inputs})
    np.testing.assert_array_equal(got["kept"], np.array(CONFIDENCES)[expected])
    np.testing.assert_array_equal(got["boxes"], np.array(BOXES)[expected])
    assert model.description.class_labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(3, [0.9, 0.3, 0.0], id="a fixed number: filled with zeros"),
        pytest.param(1, [0.9], id="a fixed number: cut off"),
        pytest.param((3, 8), [0.9, 0.3, 0.0], id="a range: at least"),
        pytest.param((0, 1), [0.9], id="a range: at most"),
    ],
)
def test_the_described_shape_says_how_many_boxes_come_out(make_spec, rows, expected):
    got = suppression(make_spec, rows=rows).predict({"c": CONFIDENCES, "b": BOXES})
    np.testing.assert_array_equal(got["kept"].max(axis=1), expected)
    assert got["boxes"].shape == (len(expected), 4)


def test_suppression_of_no_boxes_is_empty(make_spec):
    got = suppression(make_spec).predict({"c": np.zeros((0, 2)), "b": np.zeros((0, 4))})
    assert got["kept"].shape == (0, 2)


def test_boxes_without_an_area_overlap_nothing(make_spec):
    got = suppression(make_spec, iou=0.0).predict({"c": [[1.0], [0.5]], "b": [[1, 1, 0, 0]] * 2})
    assert got["kept"].tolist() == [[1.0], [0.5]]


def test_all_classes_count_as_present(make_spec):
    def fill(params, spec):
        for _ in range(2):
            curve = params.precisionRecallCurves.add()
            for name in ("precisionValues", "precisionConfidenceThresholds"):
                getattr(curve, name).vector.extend([0.1, 0.5])

    spec = make_spec(
        "classConfidenceThresholding", {"x": "float32[2]"}, {"y": "float32[2,2]"}, fill
    )
    got = load(spec).predict({"x": [0.25, 0.75]})["y"]
    assert got.tolist() == [[0.25, 0.75], [1.0, 1.0]]


def test_sound_becomes_a_log_mel_spectrogram(make_spec):
    def fill(params, spec):
        params.vggish.SetInParent()

    spec = make_spec(
        "soundAnalysisPreprocessing", {"x": "float32[15600]"}, {"y": "float32[1,96,64]"}, fill
    )
    time = np.arange(15600) / 16000
    sound = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    got = load(spec).predict({"x": sound})["y"]
    # frame 40 by the definition of the discrete Fourier transform, band by band
    n = np.arange(400)
    frame = sound[6400:6800] * (0.5 - 0.5 * np.cos(2 * np.pi * n / 400))
    angles = 2 * np.pi * np.outer(np.arange(257), n) / 512
    spectrum = np.hypot(np.cos(angles) @ frame, np.sin(angles) @ frame)
    mel = lambda hertz: 1127 * math.log(1 + hertz / 700)  # noqa: E731
    step = (mel(7500) - mel(125)) / 65
    for band in (0, 20, 21, 40, 63):
        middle = mel(125) + (band + 1) * step
        weights = [max(0.0, 1 - abs(mel(k * 31.25) - middle) / step) for k in range(257)]
        expected = math.log(np.dot(weights[1:], spectrum[1:]) + 0.01)
        assert got[0, 40, band] == pytest.approx(expected, abs=1e-4)  # float32 output
    assert abs(mel(1000) - (mel(125) + (got[0, 40].argmax() + 1) * step)) < step


# --- identity and custom ---------------------------------------------------------------------


def test_an_identity_hands_everything_on(make_spec):
    kinds = {
        "a": "float32[2]", "d": "string->double", "i": "int64", "r": "double", "s": "string",
        "q": "sequence string",
    }  # fmt: skip
    given = {"a": [1.5, 2.5], "d": {"k": 1.0}, "i": 3, "r": 0.5, "s": "word", "q": ["x", "y"]}
    got = load(make_spec("identity", kinds, kinds)).predict(given)
    assert got.pop("a").tolist() == given.pop("a")
    assert got == given


def test_a_custom_model_runs_as_the_registered_class(make_spec):
    from mlbuild.coreml import register_custom_model

    @register_custom_model("Doubler")
    class Doubler:
        def __init__(self, parameters):
            self.parameters = parameters

        def predict(self, inputs):
            return {"y": inputs["x"] * self.parameters["factor"], "word": self.parameters["word"]}

    def fill(params, spec):
        params.className = "Doubler"
        params.parameters["factor"].intValue = 3
        params.parameters["word"].stringValue = "tripled"

    outputs = {"y": "float32[2]", "word": "string"}
    got = load(make_spec("customModel", {"x": "float32[2]"}, outputs, fill)).predict({"x": [1, 2]})
    assert got["y"].tolist() == [3.0, 6.0]
    assert got["word"] == "tripled"


def test_a_model_read_from_a_file_is_one_operation(make_spec, tmp_path):
    from mlbuild.coreml import load as load_path

    def fill(params, spec):
        params.normType = 2

    spec = make_spec("normalizer", {"x": "float64[2]"}, {"y": "float64[2]"}, fill)
    (tmp_path / "norm.mlmodel").write_bytes(spec.SerializeToString())
    model = load_path(tmp_path / "norm.mlmodel")
    (use,) = model.operators()
    assert (use.type, use.opset, use.inputs) == ("normalizer", "specification 5", {"x": ("x",)})
    assert use.outputs == (("y", "float64[2]"),)
    np.testing.assert_allclose(model.predict({"x": [6, 8]})["y"], [0.6, 0.8])
