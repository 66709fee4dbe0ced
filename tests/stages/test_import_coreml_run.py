"""Models of others are taken into a pipeline: renamed, described, and still what they were."""

import json
import shutil

import pytest

torch = pytest.importorskip("torch")
ct = pytest.importorskip("coremltools")
import numpy as np  # noqa: E402
from coremltools.models import MLModel, datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

from mlbuild.coreml import load  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
KIND = "import/coreml"
X = np.arange(3, dtype=np.float32)


@pytest.fixture
def take(run_kind, tmp_path):
    def go(model, **params):
        return run_kind(KIND, inputs={"model": model}, params=params, tmp_path=tmp_path)

    return go


@pytest.fixture
def classifier(tmp_path):
    """A NeuralNetwork of the gallery's age, as an .mlmodel."""
    builder = NeuralNetworkBuilder(
        [("data", datatypes.Array(3))], [("prob", None)], mode="classifier"
    )
    weights = np.array([[1.0, 0, 0], [0, 1, 0]], np.float32)
    builder.add_inner_product("fc", weights, None, 3, 2, False, "data", "scores")
    builder.add_softmax("soft", "scores", "prob")
    builder.set_class_labels(["n0 cat", "n1 dog"], predicted_feature_name="label")
    path = tmp_path / "Gallery.mlmodel"
    MLModel(builder.spec, skip_model_load=True).save(str(path))
    return path


def test_a_gallery_model_becomes_a_described_package(take, classifier):
    ran = take(
        classifier,
        target="iOS15",
        rename={"data": "features", "label": "animal"},
        labels={"n0 cat": "cat", "n1 dog": "dog"},
        inputs={"features": "Three numbers."},
        author="Gallery",
        licence="MIT",
        metadata={"origin": "here"},
    )

    assert ran.ok, ran.error
    model = load(ran.outputs["model"])
    answer = model.predict({"features": X})
    assert answer["animal"] == "dog"
    assert set(answer["prob"]) == {"cat", "dog"}
    assert model.description.inputs[0].help == "Three numbers."
    assert ran.metrics["specification_version"] == 6
    report = ran.json("report")
    assert report["proof"] == "equal to the original, bit for bit, in 2 outputs"
    assert "label n0 cat -> cat" in report["changed"]


def test_two_imports_are_equal_bytes(take, classifier, tree):
    one, other = (take(classifier, author="A").outputs["model"] for _ in range(2))
    assert tree(one) == tree(other)


def test_names_can_be_exchanged(take, tmp_path):
    builder = NeuralNetworkBuilder(
        [("a", datatypes.Array(3)), ("b", datatypes.Array(3))], [("y", None)],
        disable_rank5_shape_mapping=True,
    )  # fmt: skip
    builder.add_subtract_broadcastable("sub", ["a", "b"], "y")
    path = tmp_path / "sub.mlmodel"
    MLModel(builder.spec, skip_model_load=True).save(str(path))

    ran = take(path, rename={"a": "b", "b": "a"})

    assert ran.ok, ran.error
    (y,) = load(ran.outputs["model"]).predict({"a": X, "b": X * 3}).values()
    np.testing.assert_array_equal(y, X * 3 - X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"rename": {"dta": "x"}},
            "rename: the model has no input or output 'dta'; it has data, prob, label",
        ),
        ({"rename": {"data": "prob"}}, "rename: 'prob' is the name of another input or output"),
        ({"labels": {"n0 cta": "cat"}}, "labels: the model has no label 'n0 cta'"),
        ({"labels": {"n0 cat": "n1 dog"}}, "labels: two labels would have one name"),
        ({"inputs": {"image": "x"}}, "there is no 'image' to describe; there is data"),
    ],
)
def test_what_is_not_there_cannot_be_changed(take, classifier, params, message):
    assert take(classifier, **params).error == message


# coremltools leaves a temporary folder to the garbage collector.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_model_that_needs_a_newer_system_is_told(take, tmp_path):
    net = torch.jit.trace(torch.nn.Linear(64, 64).eval(), torch.zeros(1, 64))
    made = ct.convert(
        net, inputs=[ct.TensorType("x", (1, 64))], outputs=[ct.TensorType("y")],
        minimum_deployment_target=ct.target.iOS17, skip_model_load=True,
    )  # fmt: skip
    made.save(str(tmp_path / "net.mlpackage"))

    old = take(tmp_path / "net.mlpackage", target="iOS15")
    new = take(tmp_path / "net.mlpackage", target="iOS18")

    assert old.error == "the model has specification version 8, iOS15 runs up to 6"
    assert new.ok, new.error
    assert new.metrics["specification_version"] == 9


def test_a_folder_holds_one_model(take, classifier, tmp_path):
    (tmp_path / "one" / "deep").mkdir(parents=True)
    shutil.copy(classifier, tmp_path / "one" / "deep")
    assert take(tmp_path / "one").ok

    shutil.copy(classifier, tmp_path / "one" / "Other.mlmodel")
    assert take(tmp_path / "one").error == (
        "one must hold exactly one .mlpackage or .mlmodel, found: Other.mlmodel, Gallery.mlmodel"
    )


def test_a_damaged_model_is_told(take, classifier):
    classifier.write_bytes(classifier.read_bytes()[:40])
    assert take(classifier).error.startswith("Gallery.mlmodel cannot be taken: ")


def test_the_report_is_json(take, classifier):
    assert json.loads(take(classifier).text("report"))["from"] == "Gallery.mlmodel"
