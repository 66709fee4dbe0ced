"""On-device training of networks against torch's own layers, losses and optimizers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.toolchain

import numpy as np  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import (  # noqa: E402
    AdamParams,
    NeuralNetworkBuilder,
    SgdParams,
)

from mlbuild.coreml import CoreMLError, InputError, load_spec  # noqa: E402

LABELS = ["ant", "bee", "cat"]
SGD = SgdParams(lr=0.05, batch=4, momentum=0.9)
ADAM = AdamParams(lr=0.01, batch=4, beta1=0.9, beta2=0.999, eps=1e-8)


@pytest.fixture(autouse=True)
def _weights_from_a_seed():
    torch.manual_seed(0)


def layers_of(net):
    return [m for m in net if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]


def classifier(net, optimizer=SGD, epochs=10):
    """The Core ML twin of Linear, ReLU, Linear."""
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(6))], [("scores", datatypes.Array(3))], mode="classifier"
    )
    first, second = layers_of(net)
    add_dense(builder, "one", first, "x", "a")
    builder.add_activation("relu", "RELU", "a", "b")
    add_dense(builder, "two", second, "b", "logits")
    builder.add_softmax("softmax", "logits", "scores")
    builder.set_class_labels(LABELS, predicted_feature_name="label")
    builder.spec.description.predictedProbabilitiesName = "scores"
    builder.make_updatable(["one", "two"])
    builder.set_categorical_cross_entropy_loss("loss", "scores")
    finish(builder, optimizer, epochs)
    return builder.spec


def regressor(net, optimizer=SGD, epochs=10):
    """The Core ML twin of Conv2d, Tanh, Flatten, Linear."""
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(2, 5, 5))], [("y", datatypes.Array(2))], mode=None
    )
    conv, dense = layers_of(net)
    builder.add_convolution(
        "conv", 2, 3, 3, 3, 1, 1, "valid", 1,
        conv.weight.detach().numpy().transpose(2, 3, 1, 0), conv.bias.detach().numpy(),
        has_bias=True, input_name="x", output_name="a",
    )  # fmt: skip
    builder.add_activation("tanh", "TANH", "a", "b")
    builder.add_flatten("flat", 0, "b", "c")
    add_dense(builder, "dense", dense, "c", "y")
    builder.make_updatable(["conv", "dense"])
    builder.set_mean_squared_error_loss("loss", ("y", datatypes.Array(2)))
    finish(builder, optimizer, epochs)
    return builder.spec


def add_dense(builder, name, linear, given, made):
    builder.add_inner_product(
        name, linear.weight.detach().numpy(), linear.bias.detach().numpy(),
        linear.in_features, linear.out_features, True, given, made,
    )  # fmt: skip


def finish(builder, optimizer, epochs):
    if isinstance(optimizer, SgdParams):
        builder.set_sgd_optimizer(optimizer)
    else:
        builder.set_adam_optimizer(optimizer)
    builder.set_epochs(epochs, allowed_set=sorted({1, 2, epochs}))


def mlp():
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))


def cnn():
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(27, 2)
    )


def labelled(count=20):
    rng = np.random.default_rng(1)
    xs = rng.normal(size=(count, 6)).astype(np.float32)
    return xs, (xs[:, 0] > 0).astype(int) + (xs[:, 1] > 0.5)


def measured(count=20):
    rng = np.random.default_rng(2)
    xs = rng.normal(size=(count, 2, 5, 5)).astype(np.float32)
    return xs, np.stack([xs.mean((1, 2, 3)), xs[:, 0].max((1, 2))], 1).astype(np.float32)


def torch_optimizer(net, optimizer):
    if isinstance(optimizer, SgdParams):
        return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    return torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-8)


def train(net, optimizer, loss, xs, ys, epochs=10, batch=4):
    """The same training by torch: 5 mini-batches an epoch, so 50 steps."""
    steps = torch_optimizer(net, optimizer)
    for _ in range(epochs):
        for start in range(0, len(xs), batch):
            steps.zero_grad()
            loss(net(xs[start : start + batch]), ys[start : start + batch]).backward()
            steps.step()


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_a_classifier_trained_for_50_steps_equals_torchs(optimizer):
    net, (xs, ys) = mlp(), labelled()
    model = load_spec(classifier(net, optimizer))
    update = model.update(
        [{"x": x, "label": LABELS[y]} for x, y in zip(xs, ys, strict=True)],
        parameters={"shuffle": False},
    )
    train(net, optimizer, torch.nn.functional.cross_entropy, torch.tensor(xs), torch.tensor(ys))
    expected = torch.softmax(net(torch.tensor(xs)), 1).detach().numpy()
    for x, row in zip(xs, expected, strict=True):
        scores = update.model.predict({"x": x})["scores"]
        assert np.allclose([scores[label] for label in LABELS], row, rtol=0, atol=1e-4)


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_a_convolutional_regressor_trained_for_50_steps_equals_torchs(optimizer):
    net, (xs, ys) = cnn(), measured()
    model = load_spec(regressor(net, optimizer))
    update = model.update(
        [{"x": x, "y_true": y} for x, y in zip(xs, ys, strict=True)],
        parameters={"shuffle": False},
    )
    train(net, optimizer, torch.nn.functional.mse_loss, torch.tensor(xs), torch.tensor(ys))
    expected = net(torch.tensor(xs)).detach().numpy()
    found = np.stack([update.model.predict({"x": x})["y"] for x in xs])
    assert np.allclose(found, expected, rtol=0, atol=1e-4)


def samples_of(count=20):
    xs, ys = labelled(count)
    return [{"x": x, "label": LABELS[y]} for x, y in zip(xs, ys, strict=True)]


def test_the_losses_of_epochs_and_steps_are_told_and_fall():
    told = []
    update = load_spec(classifier(mlp())).update(
        samples_of(), progress=lambda done, total, loss: told.append((done, total, loss))
    )
    assert len(update.epoch_losses) == 10 and len(update.step_losses) == 50
    assert update.epoch_losses[-1] < 0.5 * update.epoch_losses[0]
    assert [t[:2] for t in told] == [(n, 50) for n in range(1, 51)]
    assert [t[2] for t in told] == list(update.step_losses)


def test_the_model_that_was_trained_keeps_its_weights():
    model, samples = load_spec(classifier(mlp())), samples_of(4)
    before = model.predict({"x": samples[0]["x"]})
    model.update(samples)
    assert model.predict({"x": samples[0]["x"]}) == before


def test_batches_may_be_given_as_lists_of_samples():
    samples = samples_of(8)
    model = load_spec(classifier(mlp()))
    plain = model.update(samples, parameters={"shuffle": False})
    grouped = model.update([samples[:4], samples[4:]], parameters={"shuffle": False})
    assert plain.step_losses == grouped.step_losses


def test_a_mini_batch_that_is_not_full_counts_by_its_own_samples():
    net, (xs, ys) = mlp(), labelled(6)
    samples = [{"x": x, "label": LABELS[y]} for x, y in zip(xs, ys, strict=True)]
    update = load_spec(classifier(net)).update(samples, parameters={"shuffle": False, "epochs": 1})
    train(net, SGD, torch.nn.functional.cross_entropy, torch.tensor(xs), torch.tensor(ys), epochs=1)
    expected = torch.softmax(net(torch.tensor(xs[:1])), 1)[0].detach().numpy()
    scores = update.model.predict({"x": xs[0]})["scores"]
    assert np.allclose([scores[label] for label in LABELS], expected, rtol=0, atol=1e-5)


def test_a_seed_makes_shuffled_training_repeatable():
    model, samples = load_spec(classifier(mlp())), samples_of()

    def losses(seed):
        return model.update(samples, parameters={"shuffle": True, "seed": seed}).step_losses

    assert losses(1) == losses(1) != losses(2)


def test_a_trained_model_is_written_and_read_again(tmp_path):
    from mlbuild.coreml import load

    update = load_spec(classifier(mlp())).update(samples_of())
    update.save(tmp_path / "mine.mlmodel")
    sample = {"x": samples_of(1)[0]["x"]}
    assert load(tmp_path / "mine.mlmodel").predict(sample) == update.model.predict(sample)


def test_a_trained_model_can_be_trained_further():
    model, samples = load_spec(classifier(mlp(), SgdParams(lr=0.05, batch=4))), samples_of()
    parameters = {"shuffle": False, "epochs": 1}
    once = model.update(samples, parameters=parameters)
    again = once.model.update(samples, parameters=parameters)
    both = model.update(samples, parameters={**parameters, "epochs": 2})
    assert again.epoch_losses[0] == pytest.approx(both.epoch_losses[1], abs=1e-6)


def test_a_parameter_outside_of_the_models_bounds_is_refused():
    spec = classifier(mlp())
    size = spec.neuralNetworkClassifier.updateParams.optimizer.sgdOptimizer.miniBatchSize
    size.set.values[:] = [4, 8]
    with pytest.raises(InputError) as caught:
        load_spec(spec).update(samples_of(), parameters={"miniBatchSize": 5})
    assert str(caught.value) == (
        "the model does not allow this miniBatchSize\n  got: 5\n  allowed: 4, 8"
    )


def test_an_unknown_parameter_is_refused():
    with pytest.raises(InputError) as caught:
        load_spec(classifier(mlp())).update(samples_of(), parameters={"lr": 1})
    assert str(caught.value) == (
        "no such training parameter: lr\n"
        "  allowed: learningRate, miniBatchSize, momentum, epochs, shuffle, seed"
    )


def test_a_label_that_the_model_does_not_know_is_refused_with_the_sample():
    with pytest.raises(InputError) as caught:
        load_spec(classifier(mlp())).update([{"x": np.zeros(6), "label": "dog"}])
    assert str(caught.value) == (
        "sample 0: the model has no such label\n  got: dog\n  allowed: ant, bee, cat"
    )


def test_a_sample_without_its_truth_is_refused():
    with pytest.raises(InputError) as caught:
        load_spec(classifier(mlp())).update([{"x": np.zeros(6)}])
    assert str(caught.value).startswith("sample 0: an input is missing: label")


def test_no_samples_are_refused():
    with pytest.raises(InputError, match=r"^there is nothing to train on$"):
        load_spec(classifier(mlp())).update([])


def test_a_model_that_is_not_updatable_is_refused():
    spec = classifier(mlp())
    spec.isUpdatable = False
    with pytest.raises(InputError) as caught:
        load_spec(spec).update(samples_of())
    assert str(caught.value) == (
        "the model is not updatable\n"
        "  hint: coremltools' NeuralNetworkBuilder.make_updatable marks layers for training"
    )


def _softmax_nd(network):
    layer = network.layers[-1]
    layer.ClearField("softmax")
    layer.softmaxND.axis = -1


def _behind_softmax(network):
    network.layers[1].activation.ELU.alpha = 1.0


def _quantized(network):
    network.layers[0].innerProduct.weights.quantization.numberOfBits = 8


def _unmarked(network):
    network.layers[0].innerProduct.bias.isUpdatable = False


def _two_losses(network):
    network.updateParams.lossLayers.append(network.updateParams.lossLayers[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_softmax_nd, "loss 'loss': a cross entropy must judge the output of a softmax layer"),
        (_behind_softmax, "layer 'one', innerProduct: Core ML cannot train this layer, since the "
                          "loss lies behind layer 'relu', activation"),
        (_quantized, "layer 'one', innerProduct: quantized weights cannot be trained"),
        (_unmarked, "layer 'one', innerProduct: the layer's bias are not marked as updatable"),
        (_two_losses, "update parameters: a model with more than one loss cannot be trained"),
    ],
    ids=["softmaxND", "behind an ELU", "quantized", "not marked", "two losses"],
)  # fmt: skip
def test_what_core_ml_cannot_train_is_refused_by_name(change, message):
    spec = classifier(mlp())
    change(spec.neuralNetworkClassifier)
    with pytest.raises(CoreMLError) as caught:
        load_spec(spec).update(samples_of())
    assert str(caught.value).startswith(message)


def neighbours(tmp_path):
    from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder

    builder = KNearestNeighborsClassifierBuilder(
        input_name="x", output_name="label", number_of_dimensions=2, default_class_label="none",
        number_of_neighbors=3, weighting_scheme="uniform", index_type="linear",
    )  # fmt: skip
    return builder.spec


def test_an_empty_model_of_neighbours_learns_its_samples(tmp_path):
    model = load_spec(neighbours(tmp_path))
    assert model.predict({"x": [0.0, 0.0]})["label"] == "none"
    points = {"low": ([0, 0], [0, 1], [1, 0]), "high": ([9, 9], [9, 8], [8, 9])}
    samples = [{"x": x, "label": label} for label, rows in points.items() for x in rows]
    update = model.update(samples)
    assert update.model.predict({"x": [0.4, 0.4]})["label"] == "low"
    assert update.model.predict({"x": [7.0, 7.0]})["label"] == "high"
    assert update.epoch_losses == ()
    more = update.model.update([{"x": x, "label": "mid"} for x in ([4, 4], [4, 5], [5, 4])])
    assert more.model.predict({"x": [4.2, 4.2]})["label"] == "mid"


def test_neighbours_take_no_training_parameters(tmp_path):
    with pytest.raises(InputError) as caught:
        load_spec(neighbours(tmp_path)).update(
            [{"x": [0, 0], "label": "a"}], parameters={"epochs": 2}
        )
    assert str(caught.value) == ("nearest neighbours are learnt without parameters\n  got: epochs")


def pipeline_of(net, head):
    """A network that does not learn before a classifier that does."""
    from coremltools.models.pipeline import PipelineClassifier

    (dense,) = layers_of(net)
    builder = NeuralNetworkBuilder([("raw", datatypes.Array(4))], [("x", datatypes.Array(6))])
    add_dense(builder, "front", dense, "raw", "x")
    tail = classifier(head)
    whole = PipelineClassifier(
        [("raw", datatypes.Array(4))],
        LABELS,
        ["label", "scores"],
        training_features=[("raw", datatypes.Array(4)), ("label", datatypes.String())],
    )
    front = builder.spec
    front.specificationVersion = tail.specificationVersion
    for part in (front, tail):
        whole.spec.pipelineClassifier.pipeline.models.add().CopyFrom(part)
    whole.spec.isUpdatable = True
    whole.spec.specificationVersion = tail.specificationVersion
    return whole.spec


def test_of_a_pipeline_the_last_model_learns_and_the_others_stay():
    torch.manual_seed(3)
    front, head = torch.nn.Sequential(torch.nn.Linear(4, 6)), mlp()
    rng = np.random.default_rng(5)
    raw = rng.normal(size=(20, 4)).astype(np.float32)
    ys = (raw[:, 0] > 0).astype(int) + (raw[:, 1] > 0.5)
    model = load_spec(pipeline_of(front, head))
    update = model.update(
        [{"raw": x, "label": LABELS[y]} for x, y in zip(raw, ys, strict=True)],
        parameters={"shuffle": False},
    )
    with torch.no_grad():
        features = front(torch.tensor(raw))
    train(head, SGD, torch.nn.functional.cross_entropy, features, torch.tensor(ys))
    expected = torch.softmax(head(features), 1).detach().numpy()
    scores = [update.model.predict({"raw": x})["scores"] for x in raw]
    found = np.stack([[row[label] for label in LABELS] for row in scores])
    assert np.allclose(found, expected, rtol=0, atol=1e-4)
