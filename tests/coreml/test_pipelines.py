"""Pipelines and linked models: features by name, values by place, and what can be wrong."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain


def load(spec, folder=None, **options):
    from mlbuild.coreml import load_spec
    from mlbuild.coreml.body import Options

    return load_spec(spec, folder or Path(), Options(**options))


def failure(spec, folder=None, inputs=None):
    from mlbuild.coreml import CoreMLError

    with pytest.raises(CoreMLError) as error:
        model = load(spec, folder)
        if inputs is not None:
            model.predict(inputs)
    return str(error.value)


@pytest.fixture
def scaler(make_spec):
    """A model that adds to one feature and gives another."""

    def make(source, target, shift, kind="float64[2]"):
        def fill(params, spec):
            params.shiftValue.append(shift)

        return make_spec("scaler", {source: kind}, {target: kind}, fill)

    return make


@pytest.fixture
def classifier(make_spec):
    """A model whose second label is likely where the sum of its input is positive."""

    def make(source="x", names=("no", "yes"), label="label", scores="scores", kind="float64[2]"):
        def fill(params, spec):
            params.weights.add(value=[1.0, 1.0])
            params.offset.append(0.0)
            params.classEncoding = 1
            params.stringClassLabels.vector.extend(names)

        outputs = {label: "string", scores: "string->double"}
        return make_spec("glmClassifier", {source: kind}, outputs, fill, label, scores)

    return make


@pytest.fixture
def pipeline(make_spec):
    def make(models, inputs, outputs, kind="pipeline", names=(), predicted="", scores=""):
        spec = make_spec(kind, inputs, outputs, None, predicted, scores)
        inner = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
        for model in models:
            inner.models.add().CopyFrom(model)
        inner.names.extend(names)
        return spec

    return make


ARRAY = {"x": "float64[2]"}


def test_features_flow_by_name_from_any_model_before(scaler, pipeline, make_spec):
    def join(params, spec):
        for name in ("x", "a", "b"):
            params.inputList.add(inputColumn=name, inputDimensions=2)

    inputs = dict.fromkeys(("a", "b", "x"), "float64[2]")
    joined = make_spec("featureVectorizer", inputs, {"y": "float64[6]"}, join)
    spec = pipeline(
        [scaler("x", "a", 1.0), scaler("a", "b", 10.0), joined], ARRAY, {"y": "float64[6]"}
    )
    got = load(spec).predict({"x": [0.0, 5.0]})["y"]
    np.testing.assert_array_equal(got, [0, 5, 1, 6, 11, 16])


def test_a_feature_that_is_made_twice_is_the_later_one_from_there_on(scaler, pipeline):
    models = [scaler("x", "x", 1.0), scaler("x", "y", 0.0), scaler("x", "x", 10.0)]
    got = load(pipeline(models, ARRAY, {"x": "float64[2]", "y": "float64[2]"})).predict(
        {"x": [0.0, 0.0]}
    )
    assert (got["y"].tolist(), got["x"].tolist()) == ([1.0, 1.0], [11.0, 11.0])


def test_an_input_may_be_an_output(scaler, pipeline):
    outputs = {"x": "float64[2]", "y": "float64[2]"}
    got = load(pipeline([scaler("x", "y", 1.0)], ARRAY, outputs)).predict({"x": [1.0, 2.0]})
    assert (got["x"].tolist(), got["y"].tolist()) == ([1.0, 2.0], [2.0, 3.0])


def test_element_types_change_between_models(scaler, pipeline):
    models = [scaler("x", "a", 0.1), scaler("a", "y", 0.0, "float32[2]")]
    got = load(pipeline(models, ARRAY, {"y": "float64[2]"})).predict({"x": [0.0, 1.0]})["y"]
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, np.array([0.1, 1.1], np.float32).astype(np.float64))


def test_a_classifiers_labels_and_scores_are_those_of_the_model_that_predicts(
    scaler, classifier, pipeline
):
    models = [
        scaler("x", "a", -1.0),
        classifier("a"),
        classifier("x", ("cold", "warm"), "other", "others"),
    ]
    outputs = {"label": "string", "scores": "string->double", "other": "string"}
    spec = pipeline(models, ARRAY, outputs, "pipelineClassifier", (), "label", "scores")
    model = load(spec)
    got = model.predict({"x": [0.5, 1.0]})
    assert (got["label"], got["other"]) == ("no", "warm")
    assert got["scores"]["yes"] == pytest.approx(1 / (1 + np.exp(0.5)))
    assert model.description.class_labels == ("no", "yes")
    assert model.scores_value == "1/scores"


def test_values_bear_the_place_of_their_model_at_any_depth(scaler, classifier, pipeline):
    outputs = {"label": "string", "scores": "string->double"}
    inner = pipeline(
        [scaler("a", "b", 1.0), classifier("b")],
        {"a": "float64[2]"}, outputs, "pipelineClassifier", (), "label", "scores",
    )  # fmt: skip
    spec = pipeline(
        [scaler("x", "a", 1.0), inner], ARRAY, outputs, "pipelineClassifier", (), "label", "scores"
    )
    model = load(spec)
    assert model.body.values() == ("0/a", "1/0/b", "1/1/margins", "1/1/scores")
    assert model.scores_value == "1/1/scores"
    run = model.trace({"x": [1.0, 2.0]})
    assert {name: value.tolist() for name, value in run.values.items() if name != "1/1/scores"} == {
        "0/a": [2.0, 3.0],
        "1/0/b": [3.0, 4.0],
        "1/1/margins": [7.0],
    }
    assert [(use.type, use.block, use.inputs) for use in model.operators()] == [
        ("scaler", "0", {"x": ("0/x",)}),
        ("scaler", "1/0", {"a": ("1/0/a",)}),
        ("glmClassifier", "1/1", {"b": ("1/1/b",)}),
    ]


def test_a_value_that_no_model_makes_cannot_be_kept(scaler, pipeline):
    from mlbuild.coreml import InputError

    model = load(pipeline([scaler("x", "y", 1.0)], ARRAY, {"y": "float64[2]"}))
    with pytest.raises(InputError, match=r"^the pipeline makes no such value: 0/z, y$"):
        model.run({"x": [1, 2]}, keep=["y", "0/z", "0/y"])


def test_optional_inputs_may_be_left_out_for_the_model_that_takes_them(make_spec, pipeline):
    def fill(params, spec):
        params.imputedDoubleValue = 4.0

    impute = make_spec("imputer", {"x": "double?"}, {"a": "double"}, fill)
    scale = make_spec("scaler", {"a": "double"}, {"y": "double"})
    model = load(pipeline([impute, scale], {"x": "double?"}, {"y": "double"}))
    assert [model.predict(given) for given in ({}, {"x": 1.0})] == [{"y": 4.0}, {"y": 1.0}]


def test_numbers_strings_and_dictionaries_flow(make_spec, pipeline):
    def names(params, spec):
        params.int64ToStringMap.map.update({0: "ant", 1: "bee"})

    def encode(params, spec):
        params.stringCategories.vector.extend(["bee", "ant"])
        params.outputSparse = True

    def spread(params, spec):
        params.inputList.add(inputColumn="d", inputDimensions=2)

    models = [
        make_spec("categoricalMapping", {"i": "int64"}, {"s": "string"}, names),
        make_spec("oneHotEncoder", {"s": "string"}, {"d": "int64->double"}, encode),
        make_spec("featureVectorizer", {"d": "int64->double"}, {"y": "float64[2]"}, spread),
    ]
    got = load(pipeline(models, {"i": "int64"}, {"y": "float64[2]", "s": "string"})).predict(
        {"i": 0}
    )
    assert (got["s"], got["y"].tolist()) == ("ant", [0.0, 1.0])


def test_a_program_with_a_picture_feeds_a_classical_model(ct, make_spec, pipeline, tmp_path):
    """The picture goes to the program inside, whose weights lie beside the pipeline."""
    import warnings

    from PIL import Image

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4) / 64)

        def forward(self, x):
            return x.mean((2, 3)) @ self.weight

    module = Mean().eval()
    example = torch.rand(1, 3, 8, 8) * 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = ct.convert(
            torch.jit.trace(module, example),
            inputs=[ct.ImageType("picture", example.shape, color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType("features")],
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
        program = converted.get_spec()
    program.description.output[0].type.multiArrayType.shape[:] = [1, 4]

    def fill(params, spec):
        params.extractIndex.append(2)

    extract = make_spec(
        "arrayFeatureExtractor", {"features": "float32[1,4]"}, {"third": "double"}, fill
    )
    spec = pipeline([program, extract], {}, {"third": "double"})
    spec.specificationVersion = 7
    spec.description.input.add().CopyFrom(program.description.input[0])
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    model = load(spec, Path(converted.weights_dir).parent)
    run = model.trace({"picture": Image.fromarray(pixels)})
    with torch.no_grad():
        planes = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))
        expected = module(planes)[0]
    assert run.outputs["third"] == pytest.approx(float(expected[2]), rel=1e-5)
    np.testing.assert_allclose(run.values["0/features"][0], expected, rtol=1e-5)
    assert model.operators()[-1].type == "arrayFeatureExtractor"
    assert all(use.block.startswith("0/") for use in model.operators()[:-1])


def test_pictures_change_the_order_of_their_colours(make_spec, pipeline):
    def picture(name, color):
        spec = make_spec("identity", {}, {})
        for side in (spec.description.input, spec.description.output):
            image = side.add(name=name).type.imageType
            image.width, image.height, image.colorSpace = 2, 1, color
        return spec

    rgb, bgr = picture("p", 20), picture("p", 30)
    spec = pipeline([bgr], {}, {})
    spec.description.input.add().CopyFrom(rgb.description.input[0])
    spec.description.output.add().CopyFrom(rgb.description.output[0])
    pixels = np.array([[[1, 2, 3], [40, 50, 60]]], np.uint8)
    model = load(spec)
    run = model.run({"p": pixels}, keep=["0/p"])
    np.testing.assert_array_equal(np.asarray(run.outputs["p"])[..., :3], pixels)
    np.testing.assert_array_equal(run.values["0/p"][0, :, 0, 0], [3, 2, 1])


# --- what can be wrong -----------------------------------------------------------------------


def test_a_cycle_of_features_is_told(scaler, pipeline):
    models = [scaler("b", "a", 1.0), scaler("a", "b", 1.0)]
    assert failure(pipeline(models, ARRAY, {"b": "float64[2]"})) == (
        "model 0 'model0', scaler: its input 'b' is made too late: model 1 makes it\n"
        "  hint: models run in their order, so that no model may wait for a later one"
    )


def test_a_model_that_waits_for_itself_is_told(scaler, pipeline):
    spec = pipeline([scaler("a", "a", 1.0)], ARRAY, {"a": "float64[2]"}, names=["first"])
    assert failure(spec) == (
        "model 0 'first', scaler: its input 'a' is made too late: it makes it itself\n"
        "  hint: models run in their order, so that no model may wait for a later one"
    )


def test_a_feature_that_nothing_makes_is_told(scaler, pipeline):
    spec = pipeline([scaler("x", "a", 1.0), scaler("z", "y", 1.0)], ARRAY, {"y": "float64[2]"})
    assert failure(spec) == (
        "model 1 'model1', scaler: its input 'z' is neither an input of the pipeline nor made by "
        "a model before it\n  allowed: a, x"
    )


def test_an_output_that_nothing_makes_is_told(scaler, pipeline):
    assert failure(pipeline([scaler("x", "a", 1.0)], ARRAY, {"y": "float64[2]"})) == (
        "pipeline: no model makes the output 'y'\n  allowed: a, x"
    )


def test_a_feature_of_another_kind_is_told(scaler, pipeline, make_spec):
    number = make_spec("scaler", {"a": "double"}, {"y": "double"})
    assert failure(pipeline([scaler("x", "a", 1.0), number], ARRAY, {"y": "double"})) == (
        "model 1 'model1', scaler: the feature 'a' is of another kind than where it is made\n"
        "  got: float64[2]\n  allowed: double"
    )


def test_a_pipeline_without_models_is_told(pipeline):
    assert failure(pipeline([], ARRAY, {}, "pipelineRegressor")) == (
        "pipelineRegressor: a pipeline without models"
    )


@pytest.mark.parametrize("names", [["only one"], ["same", "same"]])
def test_names_that_do_not_tell_the_models_apart_are_told(scaler, pipeline, names):
    models = [scaler("x", "a", 1.0), scaler("a", "y", 1.0)]
    assert failure(pipeline(models, ARRAY, {"y": "float64[2]"}, names=names)) == (
        "pipeline: the names of the models are not one different name for each\n"
        f"  got: 2 models, names {', '.join(names)}"
    )


def test_what_is_wrong_inside_of_a_model_is_told_with_its_place(scaler, classifier, pipeline):
    broken = classifier("x")
    del broken.glmClassifier.offset[:]
    inner = pipeline([broken], ARRAY, {"label": "string"}, names=["classify"])
    spec = pipeline([scaler("x", "a", 0.0), inner], ARRAY, {"label": "string"})
    assert failure(spec) == (
        "model 1 'model1', pipeline, model 0 'classify', glmClassifier: the number "
        "of offsets is not that of the rows of weights\n  got: 0\n  allowed: 1"
    )


def test_a_model_that_cannot_be_run_is_refused_with_its_place(make_spec, scaler, pipeline):
    words = make_spec("wordEmbedding", {"x": "float64[2]"}, {"y": "float64[2]"})
    message = failure(pipeline([words], ARRAY, {"y": "float64[2]"}))
    assert message.startswith("model 0 'model0', wordEmbedding (maps words to vectors): ")


def test_what_fails_in_a_run_is_told_with_its_place(make_spec, pipeline):
    def fill(params, spec):
        params.stringToInt64Map.map["a"] = 1

    mapping = make_spec("categoricalMapping", {"x": "string"}, {"y": "int64"}, fill)
    spec = pipeline([mapping], {"x": "string"}, {"y": "int64"})
    assert failure(spec, inputs={"x": "q"}) == (
        "model 0 'model0', categoricalMapping, input 'x': an unknown value\n  got: 'q'"
    )


def test_pipelines_that_nest_too_deeply_are_told(scaler, pipeline):
    spec = scaler("x", "y", 1.0)
    for _ in range(32):
        spec = pipeline([spec], ARRAY, {"y": "float64[2]"})
    np.testing.assert_array_equal(load(spec).predict({"x": [0, 1]})["y"], [1, 2])
    message = failure(pipeline([spec], ARRAY, {"y": "float64[2]"}))
    assert message.startswith("model 0 'model0', pipeline, model 0 'model0', pipeline, ")
    assert message.endswith("pipeline: pipelines nested too deeply\n  allowed: 32 levels")


# --- updatable -------------------------------------------------------------------------------


@pytest.fixture
def nearest(make_spec):
    def make(updatable=True):
        def fill(params, spec):
            spec.isUpdatable = updatable
            params.nearestNeighborsIndex.numberOfDimensions = 2
            params.nearestNeighborsIndex.linearIndex.SetInParent()
            params.nearestNeighborsIndex.squaredEuclideanDistance.SetInParent()
            params.numberOfNeighbors.defaultValue = 1
            params.uniformWeighting.SetInParent()
            params.defaultStringLabel = "unknown"
            params.stringClassLabels.SetInParent()

        inputs, outputs = {"a": "float64[2]"}, {"label": "string"}
        spec = make_spec("kNearestNeighborsClassifier", inputs, outputs, fill, "label")
        for feature in (*spec.description.input, *spec.description.output):
            spec.description.trainingInput.add().CopyFrom(feature)
        return spec

    return make


def test_the_last_model_of_an_updatable_pipeline_learns(scaler, nearest, pipeline):
    spec = pipeline(
        [scaler("x", "a", 1.0), nearest()], ARRAY, {"label": "string"}, "pipelineClassifier",
        (), "label",
    )  # fmt: skip
    spec.isUpdatable = True
    assert load(spec).body.updatable == 1
    assert load(spec).predict({"x": [0, 0]}) == {"label": "unknown"}
    for feature in ("x", "label"):  # it learns from its own input, which the scaler sees first
        source = [*spec.description.input, *spec.description.output]
        spec.description.trainingInput.add().CopyFrom(next(f for f in source if f.name == feature))
    samples = [{"x": [0, 0], "label": "low"}, {"x": [9, 9], "label": "high"}]
    learned = load(spec).update(samples).model
    assert [learned.predict({"x": [n, n]})["label"] for n in (4, 5)] == ["low", "high"]
    run = learned.run({"x": [0, 0]}, keep=["0/a", "1/distances"])
    assert (run.values["0/a"].tolist(), run.values["1/distances"].tolist()) == ([1.0, 1.0], [0.0])


def test_a_pipeline_that_does_not_learn_has_no_updatable_model(scaler, pipeline):
    assert (
        load(pipeline([scaler("x", "y", 1.0)], ARRAY, {"y": "float64[2]"})).body.updatable is None
    )


@pytest.mark.parametrize(
    ("whole", "first", "last", "message"),
    [
        (True, False, False, "model 1 'model1', scaler: is not updatable, but must be"),
        (
            True,
            True,
            True,
            "model 0 'model0', scaler: is updatable, which only the last model of an updatable "
            "pipeline may be",
        ),
        (
            False,
            False,
            True,
            "model 1 'model1', scaler: is updatable, which only the last model of an updatable "
            "pipeline may be",
        ),
    ],
)
def test_only_the_last_model_of_an_updatable_pipeline_is_updatable(
    scaler, pipeline, whole, first, last, message
):
    spec = pipeline([scaler("x", "a", 1.0), scaler("a", "y", 1.0)], ARRAY, {"y": "float64[2]"})
    spec.isUpdatable = whole
    spec.pipeline.models[0].isUpdatable, spec.pipeline.models[1].isUpdatable = first, last
    assert failure(spec) == message


# --- linked models ---------------------------------------------------------------------------


@pytest.fixture
def link(make_spec):
    def make(name, search=""):
        def fill(params, spec):
            params.linkedModelFile.linkedModelFileName.defaultValue = name
            params.linkedModelFile.linkedModelSearchPath.defaultValue = search

        return make_spec("linkedModel", ARRAY, {"y": "float64[2]"}, fill)

    return make


def write(spec, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("name", "search", "file"),
    [
        pytest.param("Add.mlmodelc", "", "Add.mlmodel", id="the source of a compiled model"),
        pytest.param("Add.mlmodel", ".", "Add.mlmodel", id="the model itself"),
        pytest.param("Add.mlmodelc", "no:deep/er", "deep/er/Add.mlmodel", id="a search path"),
        pytest.param("Add.mlmodelc", "$BUNDLE_MAIN:.", "Add.mlmodel", id="bundles are left out"),
    ],
)
def test_a_linked_model_is_found_beside_its_name(scaler, link, tmp_path, name, search, file):
    write(scaler("x", "y", 7.0), tmp_path / file)
    model = load(link(name, search), tmp_path)
    np.testing.assert_array_equal(model.predict({"x": [0, 1]})["y"], [7, 8])


def test_a_linked_model_takes_part_in_a_pipeline(scaler, link, pipeline, tmp_path):
    write(scaler("x", "y", 7.0), tmp_path / "Add.mlmodel")
    spec = pipeline([scaler("x", "x", 1.0), link("Add.mlmodelc")], ARRAY, {"y": "float64[2]"})
    np.testing.assert_array_equal(load(spec, tmp_path).predict({"x": [0, 0]})["y"], [8, 8])


def test_models_that_link_in_a_circle_are_told(link, tmp_path):
    write(link("B.mlmodel"), tmp_path / "A.mlmodel")
    write(link("A.mlmodel"), tmp_path / "B.mlmodel")
    assert failure(link("A.mlmodel"), tmp_path) == (
        "linkedModel: models link in a circle\n  got: A.mlmodel -> B.mlmodel -> A.mlmodel"
    )


def test_pipelines_that_link_in_a_circle_are_told(link, pipeline, tmp_path):
    spec = pipeline([link("Own.mlmodel")], ARRAY, {"y": "float64[2]"})
    write(spec, tmp_path / "Own.mlmodel")
    message = failure(spec, tmp_path)
    assert message.endswith("models link in a circle\n  got: Own.mlmodel -> Own.mlmodel")


def test_a_linked_model_that_is_missing_is_told_with_where_it_may_be(link, tmp_path):
    assert failure(link("Gone.mlmodelc"), tmp_path) == (
        "linkedModel: the linked model Gone.mlmodelc is missing\n"
        f"  allowed: Gone.mlmodel in {tmp_path}, Gone.mlpackage in {tmp_path}"
    )


@pytest.mark.parametrize("name", ["", "../Out.mlmodel", "a/b.mlmodel"])
def test_a_link_names_a_file(link, tmp_path, name):
    assert failure(link(name), tmp_path) == f"linkedModel: the link names no file\n  got: {name!r}"


def test_what_lies_in_a_bundle_or_is_compiled_is_refused(link, tmp_path):
    hint = "\n  hint: put Add.mlmodel or Add.mlpackage beside this model"
    what = "linkedModel: the linked model can only be found or read by Core ML\n  got: Add.mlmodelc"
    assert failure(link("Add.mlmodelc", "$BUNDLE_MAIN"), tmp_path) == (
        f"{what} in $BUNDLE_MAIN{hint}"
    )
    (tmp_path / "Add.mlmodelc").mkdir()
    assert failure(link("Add.mlmodelc"), tmp_path) == f"{what} in .{hint}"
