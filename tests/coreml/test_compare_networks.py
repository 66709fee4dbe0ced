"""Networks, layer by layer in their own format, against the torch modules that they stand for."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml import InputError  # noqa: E402
from mlbuild.coreml.compare import CoreMLReference, TorchReference, compare  # noqa: E402

pytestmark = pytest.mark.toolchain


@pytest.fixture
def net():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(8)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        norm,
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, 2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 36, 5),
        torch.nn.Softmax(-1),
    ).eval()


@pytest.fixture
def save(ct, net, tmp_path):
    """The network of ``net`` as layers, with one thing done otherwise."""

    def saved(epsilon=1e-5, activation="RELU", pooling="MAX", bits=32):
        from coremltools.models import datatypes, neural_network

        builder = neural_network.NeuralNetworkBuilder(
            [("x", datatypes.Array(1, 3, 12, 12))],
            [("y", datatypes.Array(1, 5))],
            disable_rank5_shape_mapping=True,
        )
        state = {name: value.numpy() for name, value in net.state_dict().items()}
        kernel = state["0.weight"].transpose(2, 3, 1, 0)
        builder.add_convolution(
            "conv", 3, 8, 3, 3, 1, 1, "same", 1, kernel, state["0.bias"], True,
            input_name="x", output_name="c",
        )  # fmt: skip
        statistics = [state[f"1.{n}"] for n in ("weight", "bias", "running_mean", "running_var")]
        builder.add_batchnorm("norm", 8, *statistics, "c", "b", epsilon=epsilon)
        params = [0.1] if activation == "LEAKYRELU" else None
        builder.add_activation("active", activation, "b", "r", params=params)
        builder.add_pooling("pool", 2, 2, 2, 2, pooling, "VALID", "r", "p")
        builder.add_flatten_to_2d("flat", "p", "f", axis=1)
        weights = state["5.weight"], state["5.bias"]
        if bits == 32:
            builder.add_inner_product("full", *weights, 288, 5, True, "f", "g")
        else:
            codes, scale, bias = _quantized(weights[0], bits)
            builder.add_inner_product(
                "full", codes, weights[1], 288, 5, True, "f", "g", nbits=bits,
                quantization_type="linear", quant_scale=scale, quant_bias=bias,
            )  # fmt: skip
        builder.add_softmax_nd("soft", "g", "y", -1)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlmodel"
        ct.models.MLModel(builder.spec, skip_model_load=True).save(str(path))
        return path

    return saved


def _quantized(weights, bits):
    """Codes, and scale and bias for each row: w is about scale * code + bias."""
    low, high = weights.min(1), weights.max(1)
    scale = (high - low) / (2**bits - 1)
    codes = np.rint((weights - low[:, None]) / scale[:, None]).astype(np.uint8)
    return codes.tobytes(), scale, low


def samples(count=2):
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 3, 12, 12)).astype(np.float32)} for _ in range(count)]


def test_every_layer_of_a_right_network_is_found_and_nobody_accused(net, save):
    found = compare(TorchReference(net), save(), samples())
    assert found.guilty is None
    assert [row.value for row in found.rows] == ["c", "b", "r", "p", "f", "g", "y"]
    assert found.outputs[0].float32.max_abs < 1e-6


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        pytest.param({"epsilon": 0.1}, ("batchnorm", "norm"), id="another epsilon"),
        pytest.param({"activation": "LEAKYRELU"}, ("activation", "active"), id="another function"),
        pytest.param({"pooling": "AVERAGE"}, ("pooling", "pool"), id="means for maxima"),
    ],
)
def test_the_first_layer_that_parts_is_named(net, save, wrong, named):
    found = compare(TorchReference(net), save(**wrong), samples())
    assert (found.guilty.operator.type, found.guilty.operator.block) == named
    assert found.guilty.why.startswith("it is the first that makes nothing that the reference has")


def test_what_eight_bits_explain_is_no_fault_and_what_they_do_not_explain_is(net, save):
    assert compare(TorchReference(net), save(bits=8), samples()).guilty is None
    found = compare(TorchReference(net), save(bits=8, pooling="AVERAGE"), samples())
    assert found.guilty.operator.type == "pooling"


def test_a_network_can_be_the_reference_of_a_program(net, save, save_torch):
    program = save_torch(net, torch.zeros(1, 3, 12, 12), precision="float32")
    assert compare(CoreMLReference(save()), program, samples()).guilty is None
    found = compare(CoreMLReference(save(pooling="AVERAGE")), program, samples())
    assert found.guilty.operator.type == "max_pool"


def test_an_exported_program_is_a_reference_though_it_has_no_mode(net, save):
    exported = torch.export.export(net, (torch.zeros(1, 3, 12, 12),)).module()
    assert compare(TorchReference(exported), save(), samples()).guilty is None


def test_a_reference_that_takes_no_such_sample_is_told_with_the_shape(save):
    with pytest.raises(InputError) as caught:
        compare(TorchReference(torch.nn.Linear(7, 2)), save(), samples(1))
    assert str(caught.value) == (
        "the reference fails on a sample: mat1 and mat2 shapes cannot be multiplied "
        "(36x12 and 7x2)\n  got: [1, 3, 12, 12]"
    )


def test_a_reference_of_something_else_is_told_by_the_size_of_its_output(net, save_torch):
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 7)).eval()
    program = save_torch(net, torch.zeros(1, 3, 12, 12), precision="float32")
    found = compare(TorchReference(other), program, samples())
    assert found.guilty.operator.type == "outputs"
    assert found.guilty.why.endswith("is [1, 5], the reference gives [1, 7]")


def test_outputs_without_a_common_name_are_paired_by_their_sizes(save_torch):
    class Both(torch.nn.Module):
        def __init__(self, turned):
            super().__init__()
            torch.manual_seed(0)
            self.few, self.many, self.turned = torch.nn.Linear(8, 2), torch.nn.Linear(8, 5), turned

        def forward(self, x):
            found = self.few(x), self.many(x)
            return found[::-1] if self.turned else found

    program = save_torch(Both(False), torch.zeros(3, 8), precision="float32")
    given = [{"x": np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)}]
    found = compare(TorchReference(Both(True)), program, given)
    assert found.guilty is None
    assert max(row.float32.max_abs for row in found.outputs) < 1e-5
