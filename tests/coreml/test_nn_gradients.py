"""Gradients through the layers that Core ML can train through, against finite differences."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import array  # noqa: E402

pytestmark = pytest.mark.toolchain


def convolution(b, transposed):
    weights = array(3, 3, 2, 2, seed=1)
    b.add_convolution("l", 2, 2, 3, 3, 1, 1, "same", 1, weights, array(2), True, transposed,
                      input_name="x", output_name="y")  # fmt: skip


def lstm(b):
    w_x, w_h = array(4, 3, 12, seed=1) / 4, array(4, 3, 3, seed=2)
    b.add_flatten("f", 0, "x", "v")
    b.add_unilstm("l", list(w_h), list(w_x), list(array(4, 3, seed=3)), 3, 12, ["v"], ["y"],
                  output_all=True)  # fmt: skip


LAYERS = {
    "convolution": lambda b: convolution(b, False),
    "deconvolution": lambda b: convolution(b, True),
    "average pooling": lambda b: b.add_pooling("l", 2, 2, 1, 1, "AVERAGE", "SAME", "x", "y"),
    "maximum pooling": lambda b: b.add_pooling("l", 2, 2, 1, 1, "MAX", "VALID", "x", "y"),
    "dense": lambda b: b.add_inner_product("l", array(4, 12), None, 12, 4, False, "x", "y"),
    "instance normalization": lambda b: b.add_batchnorm(
        "l", 2, array(2), array(2), input_name="x", output_name="y", compute_mean_var=True,
        instance_normalization=True,
    ),
    "batch normalization": lambda b: b.add_batchnorm(
        "l", 2, array(2), array(2), array(2), array(2) ** 2, "x", "y"
    ),
    "mean and variance": lambda b: b.add_mvn("l", "x", "y", True, True, 1e-3),
    "length": lambda b: b.add_l2_normalize("l", "x", "y"),
    "local response": lambda b: b.add_lrn("l", "x", "y", 0.6, 0.75, 3, 2.0),
    "softmax": lambda b: b.add_softmax("l", "x", "y"),
    "sigmoid": lambda b: b.add_activation("l", "SIGMOID", "x", "y"),
    "elu": lambda b: b.add_activation("l", "ELU", "x", "y", 0.5),
    "upsample": lambda b: b.add_upsample("l", 2, 2, "x", "y", "BILINEAR"),
    "reflection": lambda b: b.add_padding("l", 1, 1, 1, 1, 0, "x", "y", "reflection"),
    "power": lambda b: b.add_unary("l", "x", "y", "power", 2.0, shift=4.0),
    "reduce": lambda b: b.add_reduce("l", "x", "y", "CHW", "L2"),
    "lstm": lstm,
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_passes_its_gradient_on(ct, name):
    from coremltools.models import datatypes, neural_network

    from mlbuild.coreml.nn.network import open_network

    b = neural_network.NeuralNetworkBuilder([("x", datatypes.Array(2, 2, 3))], [("y", None)])
    LAYERS[name](b)
    network = open_network(b.nn_spec, ["x"], ["y"])
    x = torch.from_numpy(array(2, 1, 2, 2, 3, seed=5)).requires_grad_()

    def value(blob):
        y = network.run({"x": blob})[0]["y"]
        return (y * torch.from_numpy(array(*y.shape, seed=6))).sum()

    value(x).backward()
    towards, step = torch.from_numpy(array(*x.shape, seed=7)), 1e-2
    with torch.no_grad():
        slope = (value(x + step * towards) - value(x - step * towards)) / (2 * step)
    # float32 differences over a step of 0.01: three digits
    assert (x.grad * towards).sum().item() == pytest.approx(slope.item(), rel=5e-3, abs=5e-3)
