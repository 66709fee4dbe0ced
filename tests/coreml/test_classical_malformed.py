# ruff: noqa: E501  (the rows of tables hold whole messages)
"""Classical models that are broken, or that only Apple's systems can run: said so, by name."""

import math
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

NETWORKS = {"mlProgram", "neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"}
ELSEWHERE = {"pipeline", "pipelineClassifier", "pipelineRegressor", "linkedModel"}


def load(spec):
    from mlbuild.coreml import load_spec

    return load_spec(spec, Path())


def failure(spec, inputs=None):
    """The message with which opening, or else running, a model fails."""
    from mlbuild.coreml import CoreMLError

    with pytest.raises(CoreMLError) as error:
        model = load(spec)
        if inputs is not None:
            model.predict(inputs)
    return str(error.value)


def test_every_type_of_model_is_run_or_refused_by_name():
    from mlbuild.coreml.classical.kind import kinds
    from mlbuild.coreml.classical.refused import REFUSED
    from mlbuild.coreml.protos import model_proto

    types = {field.name for field in model_proto().Model.DESCRIPTOR.oneofs_by_name["Type"].fields}
    assert len(types) == 37
    assert not set(kinds()) & set(REFUSED)
    assert set(kinds()) | set(REFUSED) == types - NETWORKS - ELSEWHERE


@pytest.mark.parametrize(
    ("kind", "what", "why"),
    [
        ("textClassifier", "assigns a label to a text", "Natural Language"),
        ("wordTagger", "splits a text into tokens and tags each one", "Natural Language"),
        ("gazetteer", "looks up the label of a term", "Natural Language"),
        ("wordEmbedding", "maps words to vectors", "Natural Language"),
        ("visionFeaturePrint", "turns an image into features", "the Vision framework"),
        ("audioFeaturePrint", "turns sound into features", "the Sound Analysis framework"),
        ("serializedModel", "a model in a private encoding", "promises nothing"),
    ],
)
def test_what_only_apple_can_run_is_refused_with_the_reason(make_spec, kind, what, why):
    message = failure(make_spec(kind, {"x": "string"}, {"y": "string"}))
    assert message.startswith(f"{kind} ({what}): ")
    assert why in message
    assert "\n  hint: " in message


def test_every_type_of_model_names_the_source_of_its_semantics():
    folder = Path(__file__).parents[2] / "mlbuild" / "coreml" / "classical"
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "__init__.py"]
    helpers = {"kind.py"}
    silent = [f.name for f in files if f.name not in helpers and "Source: " not in f.read_text()]
    assert len(files) > 25
    assert silent == []


def test_an_unregistered_custom_model_is_refused_with_a_remedy(make_spec):
    def fill(params, spec):
        params.className = "NeverRegistered"

    message = failure(make_spec("customModel", {"x": "double"}, {"y": "double"}, fill))
    assert message.startswith("customModel: the custom model 'NeverRegistered' is code of an app\n")
    assert "hint: register a Python class: mlbuild.coreml.register_custom_model(" in message


def test_a_custom_model_that_forgets_an_output_is_told_so(make_spec):
    from mlbuild.coreml import register_custom_model

    @register_custom_model("Forgetful")
    class Forgetful:
        def __init__(self, parameters):
            pass

        def predict(self, inputs):
            return {"other": 1.0}

    def fill(params, spec):
        params.className = "Forgetful"

    spec = make_spec("customModel", {"x": "double"}, {"y": "double"}, fill)
    assert failure(spec, {"x": 1.0}) == (
        "the custom model 'Forgetful' gave no y\n  got: other\n  allowed: y"
    )


# --- linear models ---------------------------------------------------------------------------


def glm(rows, offsets, names=(), encoding=1, transform=0):
    def fill(params, spec):
        for row in rows:
            params.weights.add(value=row)
        params.offset.extend(offsets)
        if names:
            params.stringClassLabels.vector.extend(names)
        if encoding is not None:
            params.classEncoding = encoding
        params.postEvaluationTransform = transform

    return fill


GLM = [
    (glm([], [], "ab"), "glmClassifier: there are no weights"),
    (glm([[1, 2], [1]], [0, 0], "abc", 0), "rows of weights of different lengths\n  got: [1, 2]"),
    (glm([[1, 2]], [], "ab"), "the number of offsets is not that of the rows of weights\n  got: 0\n  allowed: 1"),
    (glm([[1, 2, 3]], [0], "ab"), "the parameters are for another number of inputs than described\n  got: 3\n  allowed: 2"),
    (glm([[1, 2]], [0]), "glmClassifier: a classifier without class labels"),
    (glm([[1, 2]], [0], "aa"), "a class label that stands twice\n  got: 'a'"),
    (glm([[1, 2]], [0], "abc"), "the number of rows of weights does not fit 3 class labels\n  got: 1\n  allowed: 3"),
    (glm([[1, 2]], [0], "abc", 0), "the number of rows of weights does not fit 3 class labels\n  got: 1\n  allowed: 2"),
    (glm([[1, 2]] * 2, [0] * 2, "abc", 0, 1), "probit is for two classes only\n  got: 3"),
    (glm([[1, 2]], [0], "ab", 5), "unknown class encoding\n  got: 5\n  allowed: 0, 1"),
    (glm([[1, 2]], [0], "ab", 1, 9), "unknown transform\n  got: 9\n  allowed: 0, 1"),
]  # fmt: skip


@pytest.mark.parametrize(("fill", "message"), GLM)
def test_a_malformed_linear_classifier_is_told(make_spec, fill, message):
    spec = make_spec("glmClassifier", {"x": "float64[2]"}, {"label": "string"}, fill, "label")
    assert failure(spec) == (message if message.startswith("glm") else f"glmClassifier: {message}")


def test_a_classifier_whose_label_is_no_output_is_told(make_spec):
    fill = glm([[1, 2]], [0], "ab")
    spec = make_spec("glmClassifier", {"x": "float64[2]"}, {"label": "string"}, fill, "other")
    assert failure(spec) == (
        "glmClassifier: a classifier whose predictedFeatureName is not one of its outputs\n"
        "  got: 'other'\n  allowed: label"
    )


def test_a_regressor_with_more_numbers_than_its_output_takes_is_told(make_spec):
    fill = glm([[1, 2], [3, 4]], [0, 0], encoding=None)
    spec = make_spec("glmRegressor", {"x": "float64[2]"}, {"y": "double"}, fill, "y")
    assert failure(spec) == ("glmRegressor: the prediction has 2 numbers, the output 'y' takes 1")


def test_an_input_that_is_no_number_is_told(make_spec):
    spec = make_spec(
        "glmRegressor", {"x": "string"}, {"y": "double"}, glm([[1]], [0], (), None), "y"
    )
    assert failure(spec) == (
        "glmRegressor: an input that cannot be part of a vector\n"
        "  got: x: string\n  allowed: double, int64, multi_array"
    )


def test_an_array_of_an_open_shape_is_measured_when_it_is_given(make_spec):
    fill = glm([[1, 2]], [0], (), None)
    spec = make_spec("glmRegressor", {"x": "float64[]"}, {"y": "double"}, fill, "y")
    assert load(spec).predict({"x": [1, 1]}) == {"y": 3.0}
    assert failure(spec, {"x": [1, 2, 3]}) == (
        "glmRegressor: the inputs together have the wrong number of elements\n"
        "  got: 3\n  allowed: 2"
    )


# --- support vectors -------------------------------------------------------------------------


def machine(change):
    def fill(params, spec):
        params.kernel.rbfKernel.gamma = 1.0
        for row in ([1.0, 0.0], [0.0, 1.0]):
            params.denseSupportVectors.vectors.add(values=row)
        params.numberOfSupportVectorsPerClass.extend([1, 1])
        params.coefficients.add(alpha=[1.0, -1.0])
        params.rho.append(0.0)
        params.stringClassLabels.vector.extend("ab")
        change(params)

    return fill


def sparse(index):
    def change(params):
        params.ClearField("denseSupportVectors")
        for each in (1, index):
            params.sparseSupportVectors.vectors.add().nodes.add(index=each, value=1.0)

    return change


def set_(path, value):
    def change(params):
        *way, last = path.split(".")
        for part in way:
            params = params[int(part)] if part.isdigit() else getattr(params, part)
        field = getattr(params, last)
        if isinstance(field, int | float | str):
            setattr(params, last, value)
        else:
            del field[:]
            field.extend(value)

    return change


SVM = [
    (lambda p: p.ClearField("kernel"), "there is no kernel"),
    (set_("kernel.rbfKernel.gamma", -1.0), "a kernel whose gamma is negative\n  got: -1.0"),
    (set_("kernel.polyKernel.degree", -1), "a kernel whose degree is negative\n  got: -1"),
    (lambda p: p.ClearField("denseSupportVectors"), "there are no support vectors"),
    (set_("denseSupportVectors.vectors.0.values", [1.0]), "support vectors of different lengths\n  got: [1, 2]"),
    (sparse(3), "support vector 1 has an index that no input has\n  got: 3\n  allowed: 1 to 2"),
    (sparse(0), "support vector 1 has an index that no input has\n  got: 0\n  allowed: 1 to 2"),
    (set_("rho", []), "rho has not one value for each pair of classes\n  got: 0\n  allowed: 1"),
    (set_("numberOfSupportVectorsPerClass", [2]), "numberOfSupportVectorsPerClass does not fit the class labels\n  got: 1\n  allowed: 2"),
    (set_("numberOfSupportVectorsPerClass", [3, -1]), "numberOfSupportVectorsPerClass does not sum to the support vectors\n  got: [3, -1]\n  allowed: 2"),
    (set_("coefficients.0.alpha", [1.0]), "coefficients of the wrong size\n  got: rows of [1], 1 of them\n  allowed: rows of 2, 1 of them"),
    (set_("probA", [1.0]), "probB has not one value for each pair of classes\n  got: 0\n  allowed: 1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), SVM)
def test_a_malformed_support_vector_classifier_is_told(make_spec, change, message):
    inputs, outputs = {"x": "float64[2]"}, {"label": "string"}
    spec = make_spec("supportVectorClassifier", inputs, outputs, machine(change), "label")
    assert failure(spec) == f"supportVectorClassifier: {message}"


def test_described_probabilities_without_their_parameters_are_told(make_spec):
    outputs = {"label": "string", "p": "string->double"}
    fill = machine(lambda params: None)
    inputs = {"x": "float64[2]"}
    spec = make_spec("supportVectorClassifier", inputs, outputs, fill, "label", "p")
    assert failure(spec) == (
        "supportVectorClassifier: probabilities are described, but there are no probA and probB"
    )


def test_a_huge_index_of_a_sparse_vector_costs_no_memory(make_spec):
    def fill(params, spec):
        params.kernel.rbfKernel.gamma = 1.0
        params.sparseSupportVectors.vectors.add().nodes.add(index=2**31 - 1, value=2.0)
        params.coefficients.alpha.append(1.0)

    spec = make_spec("supportVectorRegressor", {"x": "float64[]"}, {"y": "double"}, fill, "y")
    # what the input does not have is zero: the distance is 1 + 4
    assert load(spec).predict({"x": [1.0]})["y"] == pytest.approx(math.exp(-5))


# --- trees -----------------------------------------------------------------------------------


def forest(nodes, dimensions=1, base=(0.0,), names=None, transform=0):
    """Nodes are (tree, node, true child, false child), or (tree, node) for a leaf."""

    def fill(params, spec):
        for tree, node, *children in nodes:
            one = params.treeEnsemble.nodes.add(treeId=tree, nodeId=node)
            if children:
                one.trueChildNodeId, one.falseChildNodeId = children
            else:
                one.nodeBehavior = 6
                one.evaluationInfo.add(evaluationValue=1.0)
        params.treeEnsemble.numPredictionDimensions = dimensions
        params.treeEnsemble.basePredictionValue.extend(base)
        params.postEvaluationTransform = transform
        if names:
            params.stringClassLabels.vector.extend(names)

    return fill


def edited(change):
    def fill(params, spec):
        forest([(0, 0, 1, 2), (0, 1), (0, 2)])(params, spec)
        change(params.treeEnsemble.nodes)

    return fill


def again(nodes):
    nodes[1].evaluationInfo.add(evaluationValue=2.0)


TREES = [
    (forest([]), "an ensemble without trees"),
    (forest([(0, 0)], 2), "the base prediction has not one value for each prediction dimension\n  got: 1\n  allowed: 2"),
    (forest([(0, 0)], 0, ()), "the base prediction has not one value for each prediction dimension\n  got: 0\n  allowed: 0"),
    (forest([(0, 0), (0, 0)]), "node 0 of tree 0 stands twice"),
    (forest([(0, 0, 1, 2), (0, 1)]), "node 0 of tree 0 has a child that does not exist\n  got: 2"),
    (forest([(0, 0, 1, 1), (0, 1)]), "node 1 of tree 0 is the child of two branches"),
    (forest([(0, 0), (0, 1)]), "tree 0 has two roots\n  got: 0 and 1"),
    (forest([(0, 0, 0, 1), (0, 1)]), "node 0 of tree 0 is its own ancestor"),
    (forest([(0, 0, 1, 2), (0, 1, 0, 3), (0, 2), (0, 3)]), "node 0 of tree 0 is its own ancestor"),
    (forest([(0, 0), (1, 5, 6, 7), (1, 6, 5, 8), (1, 7), (1, 8)]), "node 5 of tree 1 is its own ancestor"),
    (edited(lambda nodes: nodes[1].ClearField("evaluationInfo")), "node 1 of tree 0 is a leaf without a value"),
    (edited(again), "node 1 of tree 0 adds to dimensions that are not there, or twice to one\n  got: [0, 0]\n  allowed: 0 to 0, each once"),
    (edited(lambda nodes: setattr(nodes[2].evaluationInfo[0], "evaluationIndex", 4)), "node 2 of tree 0 adds to dimensions that are not there, or twice to one\n  got: [4]\n  allowed: 0 to 0, each once"),
    (edited(lambda nodes: setattr(nodes[0], "branchFeatureIndex", 2)), "node 0 of tree 0 asks for an element that the inputs have not\n  got: 2\n  allowed: 0 to 1"),
    (edited(lambda nodes: setattr(nodes[0], "nodeBehavior", 11)), "node 0 of tree 0 has an unknown behaviour\n  got: 11"),
    (forest([(0, 0)], transform=8), "unknown transform\n  got: 8\n  allowed: 0, 1, 2, 3"),
]  # fmt: skip


@pytest.mark.parametrize(("fill", "message"), TREES)
def test_malformed_trees_are_told(make_spec, fill, message):
    spec = make_spec("treeEnsembleRegressor", {"x": "float64[2]"}, {"y": "double"}, fill, "y")
    assert failure(spec) == f"treeEnsembleRegressor: {message}"


@pytest.mark.parametrize(
    ("dimensions", "names", "transform", "wanted"),
    [(2, "abc", 0, 3), (1, "ab", 1, 2), (3, "abc", 3, 2), (1, "abc", 2, 3)],
)
def test_sums_that_do_not_fit_the_labels_are_told(make_spec, dimensions, names, transform, wanted):
    fill = forest([(0, 0)], dimensions, [0.0] * dimensions, names, transform)
    spec = make_spec("treeEnsembleClassifier", {"x": "double"}, {"label": "string"}, fill, "label")
    assert failure(spec) == (
        "treeEnsembleClassifier: the number of prediction dimensions does not fit "
        f"{len(names)} class labels\n  got: {dimensions}\n  allowed: {wanted}"
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    nodes=st.lists(
        st.one_of(
            st.tuples(st.integers(0, 1), st.integers(0, 5)),
            st.tuples(*[st.integers(0, 1)], *[st.integers(0, 5)] * 3),
        ),
        max_size=9,
    )
)
def test_any_graph_of_nodes_ends_with_a_number_or_an_error(make_spec, nodes):
    from mlbuild.coreml import ModelFileError

    fill = forest(nodes)
    spec = make_spec("treeEnsembleRegressor", {"x": "float64[2]"}, {"y": "double"}, fill, "y")
    began = time.monotonic()
    try:
        got = load(spec).predict({"x": [0.0, 1.0]})["y"]
    except ModelFileError as error:
        assert str(error).startswith("treeEnsembleRegressor: ")
    else:
        assert got == len({tree for tree, *_ in nodes})  # each tree adds one
    assert time.monotonic() - began < 1


# --- nearest neighbours ----------------------------------------------------------------------


def nearest(change):
    def fill(params, spec):
        index = params.nearestNeighborsIndex
        index.numberOfDimensions = 2
        index.floatSamples.add(vector=[1.0, 2.0])
        params.numberOfNeighbors.defaultValue = 1
        params.stringClassLabels.vector.append("a")
        change(params)

    return fill


def of_no_samples(params):
    del params.nearestNeighborsIndex.floatSamples[:]
    del params.stringClassLabels.vector[:]


def only_of(values):
    return lambda params: params.numberOfNeighbors.set.values.extend(values)


NEAREST = [
    (set_("nearestNeighborsIndex.numberOfDimensions", 0), "numberOfDimensions is not positive\n  got: 0"),
    (set_("nearestNeighborsIndex.floatSamples.0.vector", [1.0]), "sample 0 has the wrong length\n  got: 1\n  allowed: 2"),
    (set_("stringClassLabels.vector", ["a", "b"]), "each sample needs one class label\n  got: 2\n  allowed: 1"),
    (set_("defaultInt64Label", 3), "class labels and the default one are of different types"),
    (set_("numberOfNeighbors.defaultValue", 0), "a number of neighbours that is not allowed\n  got: 0\n  allowed: 1 or more"),
    (only_of([3, 5]), "a number of neighbours that is not allowed\n  got: 1\n  allowed: 3, 5"),
    (of_no_samples, "neither samples nor a default class label"),
    (lambda p: p.nearestNeighborsIndex.singleKdTreeIndex.SetInParent(), "the leaves of the k-d tree are empty\n  got: 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), NEAREST)
def test_malformed_nearest_neighbours_are_told(make_spec, change, message):
    fill = nearest(change)
    inputs, outputs = {"x": "float32[2]"}, {"label": "string"}
    spec = make_spec("kNearestNeighborsClassifier", inputs, outputs, fill, "label")
    assert failure(spec) == f"kNearestNeighborsClassifier: {message}"


# --- all others ------------------------------------------------------------------------------


def items(**facts):
    def fill(params, spec):
        params.itemInputFeatureName = facts.get("source", "x")
        params.recommendedItemListOutputFeatureName = facts.get("output", "y")
        for item in facts.get("lists", [0]):
            params.itemItemSimilarities.add(itemId=item)
        params.itemStringIds.vector.extend(facts.get("names", []))
        params.itemInt64Ids.vector.extend(facts.get("numbers", []))

    return fill


def vector(field, values):
    return lambda params, spec: getattr(params, field).vector.extend(values)


def column(name, size):
    return lambda params, spec: params.inputList.add(inputColumn=name, inputDimensions=size)


def precision(bias, weight=1.0, feature=0):
    def fill(params, spec):
        params.numberOfFeatures, params.regressionInputFeatureName = 1, "x"
        params.bias.precision = bias
        one = params.features.add(featureId=feature).weights.add(featureValue=1)
        one.featureWeight.precision = weight

    return fill


def boxes(**facts):
    def fill(params, spec):
        params.confidenceInputFeatureName = facts.get("confidence", "c")
        params.coordinatesInputFeatureName = "b"
        params.confidenceOutputFeatureName, params.coordinatesOutputFeatureName = "k", "o"
        params.iouThreshold = facts.get("iou", 0.5)
        params.confidenceThreshold = facts.get("floor", 0.0)

    return fill


def mapped(params, spec):
    params.stringToInt64Map.map["a"] = 1
    params.strValue = "b"


def curve(params, spec):
    one = params.precisionRecallCurves.add()
    one.precisionValues.vector.extend([0.1, -1.0])
    one.precisionConfidenceThresholds.vector.extend([0.1, 0.2])


X, Y = {"x": "float64[2]"}, {"y": "float64[2]"}
NMS = ({"c": "float64[]", "b": "float64[]"}, {"k": "float64[]", "o": "float64[]"})
LISTS = ({"x": "sequence string"}, {"y": "sequence string"})
OTHERS = [
    ("identity", X, {"z": "float64[2]"}, None, "an output that is no input\n  got: z\n  allowed: x"),
    ("oneHotEncoder", {"x": "string"}, Y, None, "there are no categories"),
    ("oneHotEncoder", {"x": "string"}, Y, vector("stringCategories", "aa"), "a category that stands twice"),
    ("oneHotEncoder", {"x": "int64"}, Y, vector("stringCategories", "ab"), "takes exactly one input of certain kinds\n  got: x: int64\n  allowed: string"),
    ("oneHotEncoder", {"x": "string"}, {"y": "string->double"}, vector("stringCategories", "ab"), "takes exactly one output of certain kinds\n  got: y: dictionary of string to double\n  allowed: multi_array"),
    ("imputer", X, Y, None, "there is no imputed value"),
    ("imputer", X, Y, vector("imputedDoubleArray", [1]), "the imputed array does not fit the input\n  got: 1\n  allowed: 2"),
    ("imputer", {"x": "double"}, Y, lambda p, s: setattr(p, "imputedDoubleValue", 1), "input and output are of different kinds\n  got: multi_array\n  allowed: double"),
    ("scaler", X, Y, lambda p, s: p.scaleValue.extend([1, 2, 3]), "scaleValue does not fit the input\n  got: 3\n  allowed: 0, 1, 2"),
    ("scaler", X, {"y": "double"}, None, "input and output are not both arrays or both numbers"),
    ("scaler", {**X, "z": "double"}, Y, None, "takes exactly one input of certain kinds\n  got: x: float64[2], z: double\n  allowed: int64, double, multi_array"),
    ("normalizer", X, Y, lambda p, s: setattr(p, "normType", 7), "unknown norm\n  got: 7\n  allowed: 0, 1, 2"),
    ("dictVectorizer", {"x": "string->double"}, Y, None, "there is no mapping of keys to positions"),
    ("dictVectorizer", {"x": "string->double"}, Y, vector("stringToIndex", "aa"), "a key that stands twice"),
    ("featureVectorizer", X, Y, column("z", 2), "column 'z' is not a fitting input\n  got: no such input\n  allowed: int64, double, multi_array, dictionary"),
    ("featureVectorizer", X, Y, column("x", 3), "column 'x' has the wrong dimensions\n  got: 3\n  allowed: 2"),
    ("featureVectorizer", {"x": "string"}, Y, column("x", 3), "column 'x' is not a fitting input\n  got: string\n  allowed: int64, double, multi_array, dictionary"),
    ("arrayFeatureExtractor", X, {"y": "double"}, lambda p, s: p.extractIndex.append(2), "a position that the input has not\n  got: 2\n  allowed: 0 to 1"),
    ("arrayFeatureExtractor", X, {"y": "double"}, lambda p, s: p.extractIndex.extend([0, 1]), "the number of positions does not fit the output\n  got: 2"),
    ("categoricalMapping", {"x": "string"}, {"y": "int64"}, None, "there is no mapping"),
    ("categoricalMapping", {"x": "string"}, {"y": "int64"}, mapped, "the default is of the wrong type\n  got: strValue\n  allowed: int64Value"),
    ("itemSimilarityRecommender", *LISTS, items(source="z"), "the input of items is not described\n  got: 'z'\n  allowed: x"),
    ("itemSimilarityRecommender", *LISTS, items(output=""), "no output is named"),
    ("itemSimilarityRecommender", *LISTS, items(lists=[0, 0]), "an item with two lists of similar items"),
    ("itemSimilarityRecommender", *LISTS, items(names=["a"], numbers=[1]), "items are named by strings and by integers"),
    ("itemSimilarityRecommender", *LISTS, items(names=["a", "a"]), "an item's name stands twice"),
    ("itemSimilarityRecommender", *LISTS, items(names=["a"], lists=[1]), "similarities of an item without a name\n  got: 1\n  allowed: 0 to 0"),
    ("itemSimilarityRecommender", *LISTS, items(lists=[2**60]), f"an absurd number of items\n  got: {2**60 + 1}\n  allowed: up to {2**24}"),
    ("bayesianProbitRegressor", {"x": "int32[1]"}, {"y": "double"}, None, "the precision of the bias is not positive\n  got: 0.0"),
    ("bayesianProbitRegressor", {"x": "int32[1]"}, {"y": "double"}, precision(1, 0), "the precision of feature and value (0, 1) is not positive\n  got: 0.0"),
    ("bayesianProbitRegressor", {"x": "int32[1]"}, {"y": "double"}, precision(1, 1, 3), "a weight for a feature beyond the number of features\n  got: 3\n  allowed: below 1"),
    ("bayesianProbitRegressor", {"z": "int32[1]"}, {"y": "double"}, precision(1), "the regression input is not described\n  got: 'x'"),
    ("nonMaximumSuppression", *NMS, boxes(confidence="z"), "confidenceInputFeatureName is not a described input\n  got: 'z'\n  allowed: c, b"),
    ("nonMaximumSuppression", *NMS, boxes(iou=1.5), "iouThreshold is out of range\n  got: 1.5\n  allowed: 0 to 1"),
    ("nonMaximumSuppression", *NMS, boxes(floor=-1.0), "confidenceThreshold is negative\n  got: -1.0"),
    ("classConfidenceThresholding", {"x": "float32[1]"}, {"y": "float32[2,1]"}, curve, "curve 0: precisionValues holds negative or infinite numbers"),
    ("soundAnalysisPreprocessing", X, Y, None, "there is no type of preprocessing"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "inputs", "outputs", "fill", "message"), OTHERS)
def test_other_malformed_models_are_told(make_spec, kind, inputs, outputs, fill, message):
    spec = make_spec(kind, inputs, outputs, fill, "y" if "Regressor" in kind else "")
    assert failure(spec) == f"{kind}: {message}"


GIVEN = [
    ("featureVectorizer", {"x": "int64->double"}, Y, column("x", 2), {2: 1.0}, "input 'x': a key that is no position in its column\n  got: 2\n  allowed: 0 to 1"),
    ("bayesianProbitRegressor", {"x": "int32[]"}, {"y": "double"}, precision(1), [1, 1], "bayesianProbitRegressor: a feature that the model does not have\n  got: 1\n  allowed: 0 to 0"),
    ("bayesianProbitRegressor", {"x": "int32[]"}, {"y": "double"}, precision(1), [[1, 2, 3]], "bayesianProbitRegressor: neither a vector nor a matrix of two columns\n  got: [1, 3]"),
    ("soundAnalysisPreprocessing", {"x": "float32[]"}, {"y": "float32[1,96,64]"}, lambda p, s: p.vggish.SetInParent(), [0.0], "input 'x': the wrong number of samples\n  got: 1\n  allowed: 15600"),
    ("dictVectorizer", {"x": "string->double"}, Y, vector("stringToIndex", "abc"), {"a": 1}, "output 'y': an array of another size than described\n  got: [3]\n  allowed: [2]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "inputs", "outputs", "fill", "value", "message"), GIVEN)
def test_inputs_that_a_model_cannot_take_are_told(
    make_spec, kind, inputs, outputs, fill, value, message
):
    spec = make_spec(kind, inputs, outputs, fill, "y" if "Regressor" in kind else "")
    assert failure(spec, {"x": value}) == message


def test_confidences_that_do_not_fit_their_boxes_are_told(make_spec):
    spec = make_spec("nonMaximumSuppression", *NMS, boxes())
    assert failure(spec, {"c": [[1.0]], "b": [[1, 2, 3, 4]] * 2}) == (
        "nonMaximumSuppression: confidences and coordinates do not fit\n"
        "  got: [1, 1] and [2, 4]\n  allowed: [boxes, classes] and [boxes, 4]"
    )


def test_a_value_that_is_not_made_cannot_be_kept(make_spec):
    from mlbuild.coreml import InputError

    spec = make_spec("glmRegressor", X, {"y": "double"}, glm([[1, 2]], [0], (), None), "y")
    with pytest.raises(InputError) as error:
        load(spec).run({"x": [1, 2]}, keep=["scores"])
    assert str(error.value) == "the model makes no such value: scores\n  allowed: margins"
