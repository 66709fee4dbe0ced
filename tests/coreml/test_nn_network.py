"""Networks as a whole: compiling, blobs, classifiers, training, custom layers, errors."""

import threading
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import builder, open_spec  # noqa: E402

pytestmark = pytest.mark.toolchain


def chain():
    """Data, doubled to m, cut below at zero to y."""
    b = builder({"data": (2, 1, 1)}, {"y": (2, 1, 1)})
    b.add_activation("twice", "LINEAR", "data", "m", [2.0, 0.0])
    b.add_activation("cut", "RELU", "m", "y")
    return b.spec


X = np.array([-1.0, 3.0]).reshape(2, 1, 1)


def test_every_layer_of_the_specification_is_registered(ct):
    from coremltools.proto import NeuralNetwork_pb2

    from mlbuild.coreml.nn.layer import builders

    oneof = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"]
    assert set(builders()) == {field.name for field in oneof.fields}


def test_a_trace_holds_every_blob_and_the_operators_tell_where_they_stand(ct):
    model = open_spec(chain())
    run = model.trace({"data": X})
    assert list(run.values) == ["m", "y"] == list(model.body.values())
    assert run.values["m"].ravel().tolist() == [-2, 6]
    assert run.outputs["y"].ravel().tolist() == [0, 6]
    first, second = model.operators()
    assert (first.type, first.block, first.index) == ("activation", "twice", 0)
    assert second.inputs == {"input": ("m",)}
    assert second.outputs == (("y", "fp32"),)


def test_an_unknown_blob_cannot_be_kept(ct):
    from mlbuild.coreml import InputError

    with pytest.raises(InputError) as error:
        open_spec(chain()).run({"data": X}, keep=["z"])
    assert str(error.value) == "the network makes no such blob: z"


def test_a_blob_is_freed_after_its_last_use(ct):
    from mlbuild.coreml import register_layer

    b = builder({"data": (1, 1, 1)}, {"y": None})
    alive = []

    def make(parameters, weights):
        def run(x):
            alive.append([r() is not None for r in seen])
            made = x + 1
            seen.append(weakref.ref(made))
            return made

        return run

    seen = []
    register_layer("Watched", make)
    for number in range(4):
        _custom(b, f"l{number}", "Watched", "data" if number == 0 else f"b{number}",
                "y" if number == 3 else f"b{number + 1}")  # fmt: skip
    assert open_spec(b.spec).predict({"data": np.zeros((1, 1, 1))})["y"].item() == 4
    assert alive == [[], [True], [False, True], [False, False, True]]


def _custom(b, name, class_name, input_name, output_name, **parameters):
    from coremltools.proto import NeuralNetwork_pb2

    params = NeuralNetwork_pb2.CustomLayerParams(className=class_name)
    for key, value in parameters.items():
        kind = {bool: "boolValue", int: "longValue", float: "doubleValue", str: "stringValue"}
        setattr(params.parameters[key], kind[type(value)], value)
    b.add_custom(name, [input_name], [output_name], params)
    return params


def test_a_registered_class_gets_parameters_and_weights(ct):
    from mlbuild.coreml import register_layer

    b = builder({"data": (2, 1, 1)}, {"y": None})
    _custom(b, "mine", "Scaled", "data", "y", factor=2.5, times=2, deep=True, word="x")
    b.nn_spec.layers[0].custom.weights.add().floatValue.extend([1.0, 10.0])
    given = []

    def make(parameters, weights):
        given.append(parameters)
        return lambda x: x * parameters["factor"] * weights[0].reshape(-1, 1, 1)

    register_layer("Scaled", make)
    assert open_spec(b.spec).predict({"data": X})["y"].ravel().tolist() == [-2.5, 75.0]
    assert given == [{"factor": 2.5, "times": 2, "deep": True, "word": "x"}]


def test_a_custom_layer_is_refused_by_the_name_of_its_class(ct):
    from mlbuild.coreml import UnsupportedError
    from mlbuild.coreml.nn import custom

    b = builder({"data": (2, 1, 1)}, {"y": None})
    _custom(b, "mine", "NobodysLayer", "data", "y")
    with pytest.raises(UnsupportedError) as error:
        open_spec(b.spec)
    allowed = f"\n  allowed: {', '.join(sorted(custom.custom_layers()))}"
    assert str(error.value) == (
        "layer 0 'mine', custom: the class NobodysLayer of this custom layer is not registered"
        + (allowed if custom.custom_layers() else "")
        + "\n  hint: mlbuild.coreml.register_layer(class_name, function)"
    )


def test_a_layer_that_asks_for_a_later_blob_is_told(ct):
    from mlbuild.coreml import ModelFileError

    spec = chain()
    spec.neuralNetwork.layers[0].input[0] = "y"
    with pytest.raises(ModelFileError) as error:
        open_spec(spec)
    assert str(error.value) == (
        "layer 0 'twice', activation: no earlier layer or input makes the blob 'y'"
    )


def test_an_output_that_no_layer_makes_is_told(ct):
    from mlbuild.coreml import ModelFileError

    spec = chain()
    spec.neuralNetwork.layers[1].output[0] = "z"
    with pytest.raises(ModelFileError) as error:
        open_spec(spec)
    assert str(error.value) == "no layer makes the output 'y'"


def test_a_layer_without_a_type_is_told(ct):
    from mlbuild.coreml import UnsupportedError

    spec = chain()
    spec.neuralNetwork.layers[1].ClearField("activation")
    with pytest.raises(UnsupportedError) as error:
        open_spec(spec)
    assert str(error.value) == "layer 1 'cut', of no type: this runtime has no such layer"


def test_a_failure_names_the_layer_and_the_shapes_it_was_given(ct):
    from mlbuild.coreml import ExecutionError

    b = builder({"a": (2, 2, 3), "b": (2, 3, 3)}, {"y": None})
    b.add_elementwise("sum", ["a", "b"], "y", "ADD")
    with pytest.raises(ExecutionError) as error:
        open_spec(b.spec).predict({"a": np.zeros((2, 2, 3)), "b": np.zeros((2, 3, 3))})
    assert str(error.value) == (
        "layer 0 'sum', add: The size of tensor a (2) must match the size of tensor b (3) "
        "at non-singleton dimension 3\n"
        "  got: inputs 'a' [1, 1, 2, 2, 3], 'b' [1, 1, 2, 3, 3]"
    )


def classifier(labels, name="probabilities"):
    b = builder({"data": (3,)}, {"probabilities": (3,)}, mode="classifier")
    b.add_softmax("soft", "data", name)
    b.set_class_labels(labels, predicted_feature_name="label", prediction_blob=name)
    return b.spec


@pytest.mark.parametrize("labels", [["cat", "dog", "bee"], [7, 1, 3]])
def test_a_classifier_gives_its_label_and_a_probability_for_each(ct, labels):
    model = open_spec(classifier(labels))
    x = np.array([0.5, 2.0, -1.0])
    result = model.predict({"data": x})
    expected = np.exp(x) / np.exp(x).sum()
    assert result["label"] == labels[1]
    (scores,) = [v for v in result.values() if isinstance(v, dict)]
    assert list(scores) == labels
    np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-6)
    assert model.body.labels == tuple(labels)
    assert model.scores_value == "probabilities"


def test_among_equal_scores_the_first_label_wins(ct):
    assert open_spec(classifier(["a", "b", "c"])).predict({"data": np.zeros(3)})["label"] == "a"


def test_a_classifier_needs_one_score_for_each_label(ct):
    from mlbuild.coreml import ExecutionError

    with pytest.raises(ExecutionError) as error:
        open_spec(classifier(["a", "b"])).predict({"data": np.zeros(3)})
    assert str(error.value) == (
        "blob 'probabilities': the classifier has not one score for each label\n"
        "  got: 3 scores\n  allowed: 2 labels"
    )


def test_a_classifier_without_labels_is_malformed(ct):
    from mlbuild.coreml import ModelFileError

    spec = classifier(["a", "b", "c"])
    spec.neuralNetworkClassifier.stringClassLabels.ClearField("vector")
    with pytest.raises(ModelFileError, match=r"^a classifier without labels$"):
        open_spec(spec)


def test_a_regressor_gives_a_number_where_one_is_described(ct):
    b = builder({"data": (2,)}, {"y": (1,)}, mode="regressor")
    weights = np.array([[1.0, 10.0]])
    b.add_inner_product("dense", weights, np.array([0.5]), 2, 1, True, "data", "y")
    b.spec.description.output[0].type.doubleType.SetInParent()
    assert open_spec(b.spec).predict({"data": np.array([1.0, 2.0])})["y"] == 21.5


def updatable(bias=True):
    b = builder({"data": (4,)}, {"y": None})
    random = np.random.default_rng(1)
    w1, w2 = random.normal(size=(5, 4)), random.normal(size=(2, 5))
    b.add_inner_product("one", w1, random.normal(size=5), 4, 5, True, "data", "h")
    b.add_activation("tanh", "TANH", "h", "t")
    b.add_inner_product("two", w2, random.normal(size=2), 5, 2, True, "t", "y")
    b.make_updatable(["two"])
    return b.spec


def test_updatable_weights_are_leaves_whose_gradients_are_torchs(ct):
    from mlbuild.coreml.nn.network import open_network

    spec = updatable()
    network = open_network(spec.neuralNetwork, ["data"], ["y"], train=True)
    assert sorted(network.trainable) == ["two.bias", "two.weights"]
    x = torch.randn(1, 6, 4, 1, 1)
    outputs, _ = network.run({"data": x})
    outputs["y"].square().mean().backward()

    layers = spec.neuralNetwork.layers
    one, two = torch.nn.Linear(4, 5), torch.nn.Linear(5, 2)
    with torch.no_grad():
        for linear, layer in ((one, layers[0]), (two, layers[2])):
            shape = linear.weight.shape
            linear.weight.copy_(torch.tensor(layer.innerProduct.weights.floatValue).reshape(shape))
            linear.bias.copy_(torch.tensor(layer.innerProduct.bias.floatValue))
    two(torch.tanh(one(x.reshape(6, 4)))).square().mean().backward()
    for name, expected in (("weights", two.weight), ("bias", two.bias)):
        found = network.trainable[f"two.{name}"].tensor
        assert found.is_leaf
        torch.testing.assert_close(found.grad, expected.grad)


def test_a_change_in_place_shows_in_the_next_run_and_is_written_back(ct):
    from mlbuild.coreml.nn.network import open_network
    from mlbuild.coreml.nn.weights import write_weight

    spec = updatable()
    network = open_network(spec.neuralNetwork, ["data"], ["y"], train=True)
    x = torch.randn(1, 1, 4, 1, 1)
    before = network.run({"data": x})[0]["y"].detach()
    with torch.no_grad():
        network.trainable["two.bias"].tensor.add_(1)
    after = network.run({"data": x})[0]["y"].detach()
    torch.testing.assert_close(after, before + 1)
    for weight in network.trainable.values():
        write_weight(weight.message, weight.tensor)
    found = open_spec(spec).predict({"data": x.numpy().ravel()})["y"]
    np.testing.assert_allclose(found.ravel(), after.numpy().ravel(), rtol=1e-6)


def test_without_training_nothing_asks_for_a_gradient(ct):
    from mlbuild.coreml.nn.network import open_network

    network = open_network(updatable().neuralNetwork, ["data"], ["t", "y"])
    outputs, _ = network.run({"data": torch.randn(1, 1, 4, 1, 1)})
    assert network.trainable == {}
    assert not outputs["y"].requires_grad
    assert outputs["t"].shape == (1, 1, 5, 1, 1)


def test_two_threads_run_one_model_without_mixing_their_blobs(ct):
    b = builder({"data": (64, 16, 16)}, {"y": None})
    for n in range(6):
        name = "data" if n == 0 else f"b{n}"
        b.add_activation(f"l{n}", "LINEAR", name, "y" if n == 5 else f"b{n + 1}", [1.0, 1.0])
    model = open_spec(b.spec)
    wrong = []

    def work(number):
        for _ in range(20):
            y = model.predict({"data": np.full((64, 16, 16), float(number))})["y"]
            if not (y == number + 6).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_network_has_no_functions(ct):
    from mlbuild.coreml import InputError

    with pytest.raises(InputError, match="a neural network has no functions"):
        open_spec(chain(), function="main")
