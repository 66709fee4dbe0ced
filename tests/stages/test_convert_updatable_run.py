"""convert/updatable in torch: what it writes learns, and only what was chosen learns."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytestmark = pytest.mark.toolchain
ROOT = __import__("pathlib").Path(__file__).resolve().parents[2]
KIND = "convert/updatable"


def shared(name):
    if "_updatable_stages" not in sys.modules:
        package = types.ModuleType("_updatable_stages")
        package.__path__ = [str(ROOT / "stages")]
        sys.modules["_updatable_stages"] = package
    return importlib.import_module(f"_updatable_stages._shared.{name}")


@pytest.fixture
def digits(tmp_path):
    """A small untrained network of digits with weights that tell pictures apart."""
    file = shared("torch_model.model_file")
    how = shared("torch_model.preprocessing").Preprocessing(
        12, 12, "GRAY", (127.0,), (64.0,), resize="squash"
    )

    def write(name="net", architecture="small-cnn", labels=("a", "b", "c"), **more):
        torch.manual_seed(3)
        arguments = more.pop("arguments", {"in_channels": 1, "channels": [4, 6], "dropout": 0.0})
        net = shared("torch_model.architectures").build(architecture, arguments, len(labels))
        described = file.Description(
            architecture, arguments, labels, more.pop("preprocessing", how), **more
        )
        file.save(net.eval(), described, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def pictures(tmp_path):
    """Three kinds of stripes in folders."""
    from PIL import Image

    random = np.random.default_rng(5)
    for label, axis in (("a", 0), ("b", 1), ("c", None)):
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 60, (12, 12))
            if axis is not None:
                pixels += (np.indices((12, 12))[axis] // 3 % 2) * 180
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.png")
    return tmp_path / "pictures"


def layers_of(package):
    from mlbuild.coreml.package import open_model

    spec = open_model(package).spec
    return spec, getattr(spec, spec.WhichOneof("Type"))


def test_the_result_learns_and_answers_as_its_source_before(run_kind, tmp_path, digits, pictures):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": digits(), "samples": pictures},
        params={"learning_rate": 0.5, "epochs": 20, "seed": 1},
    )  # fmt: skip
    assert ran.ok, ran.error
    figures = ran.metrics
    assert figures["largest_difference"] < 1e-5
    assert figures["loss_after"] < 0.99 * figures["loss_before"]
    assert figures["accuracy_after"]["n"] == 12
    assert figures["trainable_weights"] == 6 * 3 + 3
    spec, network = layers_of(ran.outputs["model"])
    assert spec.isUpdatable and spec.WhichOneof("Type") == "neuralNetworkClassifier"
    assert [f.name for f in spec.description.trainingInput] == ["image", "classLabel"]
    assert [la.WhichOneof("layer") for la in network.layers][-3:] == [
        "flatten", "innerProduct", "softmax",
    ]  # fmt: skip
    assert [la.isUpdatable for la in network.layers][-2:] == [True, False]


def test_one_step_is_the_step_that_torch_makes(run_kind, tmp_path, digits, pictures):
    """The oracle: torch's own gradient and optimizer on the same mini-batch."""
    from PIL import Image

    from mlbuild.coreml import load

    folder = digits()
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": folder},
        params={"learning_rate": 0.1, "mini_batch": 16, "epochs": 1, "train": {"layers": 2}},
    )  # fmt: skip
    assert ran.ok, ran.error
    files = sorted(pictures.rglob("*.png"))
    images = [Image.open(f) for f in files]
    samples = [
        {"image": i, "classLabel": f.parent.name} for i, f in zip(images, files, strict=True)
    ]
    learned = load(ran.outputs["model"]).update(samples)
    model = shared("torch_model.model_file").load(folder)
    batch = torch.stack([model.preprocess(i) for i in images])
    truth = torch.tensor(["abc".index(f.parent.name) for f in files])
    # Behind the last convolution stands its batch normalization, which the converter folds into
    # it: with weights of their own the two move otherwise, so it is folded here as well.
    shared("torch_model.folding").fold(model.net)
    convolution = [m for m in model.net.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    moved = [*model.net.head.parameters(), *convolution.parameters()]
    optimizer = torch.optim.SGD(moved, lr=0.1)
    loss = torch.nn.functional.cross_entropy(model.net(batch), truth)
    loss.backward()
    optimizer.step()
    assert learned.epoch_losses[0] == pytest.approx(float(loss.detach()), abs=1e-5)
    with torch.no_grad():
        wanted = torch.softmax(model.net(batch), dim=1).numpy()
    for image, row in zip(images, wanted, strict=True):
        scores = learned.model.predict({"image": image})["probabilities"]
        assert [scores[label] for label in "abc"] == pytest.approx(row.tolist(), abs=2e-5)


def test_equal_inputs_give_equal_bytes(run_kind, tmp_path, digits, tree):
    first, second = (
        run_kind(KIND, tmp_path=tmp_path, inputs={"model": digits()}) for _ in range(2)
    )
    assert first.ok, first.error
    assert tree(first.outputs["model"]) == tree(second.outputs["model"])
    assert first.text("report") == second.text("report")
    assert first.json("report")["trial"]["samples"] == "drawn"


def test_what_an_app_may_set_stands_in_the_model(run_kind, tmp_path, digits):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": digits()},
        params={
            "optimizer": "adam",
            "learning_rate": {"default": 0.02, "min": 0.001, "max": 0.1},
            "epochs": {"default": 5, "allowed": [1, 5]},
            "mini_batch": {"default": 4, "min": 2, "max": 8},
            "seed": 9,
        },
    )  # fmt: skip
    assert ran.ok, ran.error
    update = layers_of(ran.outputs["model"])[1].updateParams
    adam = update.optimizer.adamOptimizer
    assert (adam.learningRate.range.minValue, adam.learningRate.range.maxValue) == (0.001, 0.1)
    assert list(update.epochs.set.values) == [1, 5]
    assert (adam.miniBatchSize.range.minValue, adam.miniBatchSize.range.maxValue) == (2, 8)
    assert (adam.eps.defaultValue, update.seed.defaultValue) == (1e-8, 9)


def test_channels_of_different_deviations_are_told_apart(run_kind, tmp_path, digits):
    how = shared("torch_model.preprocessing").Preprocessing(
        16, 12, "RGB", (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)
    )
    net = digits("rgb", arguments={"in_channels": 3, "channels": [4, 6]}, preprocessing=how)
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": net})
    assert ran.ok, ran.error
    assert ran.metrics["largest_difference"] < 1e-5


def test_a_loss_that_does_not_fall_fails_the_stage(run_kind, tmp_path, digits, pictures):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": digits(), "samples": pictures},
        params={"learning_rate": {"default": 900.0, "max": 1000.0}, "epochs": 3},
    )  # fmt: skip
    assert not ran.ok
    assert ran.error.startswith("training does not help: the loss was ")
    assert ran.hint == "try a smaller learning_rate than 900, or other samples"
    assert not ran.outputs["model"].exists()


def test_layers_that_core_ml_cannot_train_are_named(run_kind, tmp_path, digits):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": digits()}, params={"train": {"layers": 9}}
    )
    assert (ran.error, ran.kind) == (
        "train: 9 layers, but the network has 5 with weights",
        "failure",
    )


def test_a_label_that_the_model_lacks_is_named(run_kind, tmp_path, digits, pictures):
    (pictures / "c").rename(pictures / "cat")
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"model": digits(), "samples": pictures})
    assert (ran.error, ran.hint) == ("samples: the model has no label 'cat'", "it has a, b, c")


def test_squares_are_not_for_a_classifier(run_kind, tmp_path, digits):
    ran = run_kind(
        KIND, tmp_path=tmp_path, inputs={"model": digits()}, params={"loss": "mean_squared_error"}
    )
    assert ran.error == "loss: mean_squared_error is not for this model, which is a classifier"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of jit.trace
def test_the_converters_own_softmax_is_refused_where_the_end_is_not_rebuilt():
    """The guard that the rebuilding stands against: coremltools' layer cannot be trained."""
    import coremltools as ct
    from coremltools.models.neural_network import NeuralNetworkBuilder

    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1)).eval()
    traced = torch.jit.trace(net, torch.zeros(1, 4))
    model = ct.convert(
        traced, convert_to="neuralnetwork", inputs=[ct.TensorType("x", (1, 4))],
        outputs=[ct.TensorType("scores")], minimum_deployment_target=ct.target.iOS14,
    )  # fmt: skip
    builder = NeuralNetworkBuilder(spec=model.get_spec())
    last = builder.nn_spec.layers[-1]
    assert last.WhichOneof("layer") == "softmaxND"
    with pytest.raises(ValueError, match="must be a softmax layer output"):
        builder.set_categorical_cross_entropy_loss("loss", last.output[0])
