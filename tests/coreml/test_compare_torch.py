"""Conversions of torch modules, right ones and damaged ones: who is named, and for what."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml import InputError  # noqa: E402
from mlbuild.coreml.compare import TorchReference, compare, random_samples  # noqa: E402
from mlbuild.coreml.model import load  # noqa: E402

pytestmark = pytest.mark.toolchain


class Net(torch.nn.Module):
    """A convolution with statistics, a norm in pieces, a linear head."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.group = torch.nn.GroupNorm(2, 8)
        self.head = torch.nn.Linear(8, 5)
        torch.nn.init.uniform_(self.norm.running_var, 0.5, 2)
        torch.nn.init.normal_(self.norm.running_mean)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        return torch.softmax(self.head(self.group(y).mean(dim=(2, 3))), -1)


class Wrong(Net):
    """As ``Net``, with one thing done otherwise."""

    def __init__(self, **other):
        super().__init__()
        self.other = other

    def forward(self, x):
        y = self.norm(self.conv(x))
        y = self.other.get("activation", torch.relu)(y)
        y = self.other.get("between", lambda v: v)(self.group(y))
        return self.other.get("last", lambda v: torch.softmax(v, -1))(self.head(y.mean((2, 3))))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def samples(count=2):
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 3, 12, 12)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_nobody_is_accused_of_a_right_conversion(net, save_torch, precision):
    path = save_torch(net, torch.zeros(1, 3, 12, 12), precision=precision)
    found = compare(TorchReference(net), path, samples())
    assert found.guilty is None
    assert len(found.rows) > 8
    (output,) = found.outputs
    # All that is left without rounding of values is the rounding of weights.
    assert output.float32.psnr_db > (120 if precision == "float32" else 70)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(
    ("other", "operator"),
    [
        ({"activation": torch.nn.functional.silu}, "silu"),
        ({"last": lambda v: torch.softmax(v, 0)}, "softmax"),
    ],
)
def test_the_operator_that_is_another_one_is_named(net, save_torch, precision, other, operator):
    wrong = Wrong(**other).eval()
    wrong.load_state_dict(net.state_dict())
    path = save_torch(wrong, torch.zeros(1, 3, 12, 12), precision=precision)
    found = compare(TorchReference(net), path, samples())
    assert found.guilty.operator.type == operator
    assert found.guilty.cause == "arithmetic"
    assert found.guilty.confidence > 0.8
    assert found.guilty.damage > 0.01


def test_weights_of_the_wrong_layer_are_found_behind_a_right_one(net, save_torch):
    wrong = Net().eval()
    wrong.load_state_dict(net.state_dict())
    with torch.no_grad():
        wrong.head.weight.copy_(net.head.weight.flip(0))
    path = save_torch(wrong, torch.zeros(1, 3, 12, 12))
    guilty = compare(TorchReference(net), path, samples()).guilty
    assert guilty.operator.type == "linear"
    assert guilty.scope == "head (Linear)"
    assert "head (Linear)" in guilty.why


def test_a_lost_bias_is_not_cleared_by_a_piece_of_the_right_operation(net, save_torch):
    wrong = Net().eval()
    wrong.load_state_dict(net.state_dict())
    torch.nn.init.zeros_(wrong.head.bias)
    path = save_torch(wrong, torch.zeros(1, 3, 12, 12), precision="float32")
    assert compare(TorchReference(net), path, samples()).guilty.operator.type == "linear"


def test_swapped_rows_that_a_mean_hides_are_named_before_the_mean(net, save_torch):
    wrong = Net().eval()
    wrong.load_state_dict(net.state_dict())
    with torch.no_grad():  # two channels of one group: the group's mean stays as it is
        wrong.conv.weight[[0, 1]] = net.conv.weight[[1, 0]]
    path = save_torch(wrong, torch.zeros(1, 3, 12, 12), precision="float32")
    assert compare(TorchReference(net), path, samples()).guilty.operator.type == "conv"


class Overflowing(torch.nn.Module):
    """Right in float32; in float16 the square is infinite."""

    def forward(self, x):
        return torch.sqrt((x * 300.0) ** 2 + 1.0) / 300.0


def test_float16_overflow_is_told_apart_from_arithmetic(save_torch):
    module = Overflowing()
    path = save_torch(module, torch.zeros(1, 64))
    given = [{"x": np.linspace(-3, 3, 64, dtype=np.float32).reshape(1, 64)}]
    guilty = compare(TorchReference(module), path, given).guilty
    assert guilty.cause == "float16"
    assert guilty.operator.type in ("square", "pow", "mul")
    assert "65504" in guilty.why


def test_the_same_network_in_float32_does_not_overflow(save_torch):
    module = Overflowing()
    path = save_torch(module, torch.zeros(1, 64), precision="float32")
    given = [{"x": np.linspace(-3, 3, 64, dtype=np.float32).reshape(1, 64)}]
    assert compare(TorchReference(module), path, given).guilty is None


@pytest.fixture
def classify(ct, save_torch):
    def save(net, labels, colour="RGB", scale=1 / 64):
        image = ct.ImageType(
            "image",
            (1, 3, 12, 12),
            scale=scale,
            bias=[-1.9, -1.7, -1.6],
            color_layout=getattr(ct.colorlayout, colour),
        )
        return save_torch(
            net,
            torch.zeros(1, 3, 12, 12),
            inputs=[image],
            classifier_config=ct.ClassifierConfig(list(labels)),
        )

    return save


def prepared(sample):
    pixels = torch.from_numpy(np.asarray(sample["image"]).astype(np.float32))
    bias = torch.tensor([-1.9, -1.7, -1.6]).reshape(1, 3, 1, 1)
    return pixels.permute(2, 0, 1)[None] / 64 + bias


LABELS = ("ant", "bee", "cat", "dog", "eel")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, None),
        ({"colour": "BGR"}, ("input", "image")),
        ({"scale": 1 / 255}, ("mul", None)),
        ({"labels": ("bee", "ant", "cat", "dog", "eel")}, ("labels", "classLabel")),
    ],
    ids=["right", "red and blue exchanged", "scale of another network", "labels exchanged"],
)
def test_what_stands_around_the_network_is_named_too(net, classify, options, named):
    labels = options.pop("labels", LABELS)
    path = classify(net, labels, **options)
    reference = TorchReference(net, prepared, labels=LABELS)
    guilty = compare(reference, path, random_samples(load(path), 2)).guilty
    if named is None:
        assert guilty is None
        return
    kind, name = named
    assert guilty.operator.type == kind
    if name is not None:
        assert guilty.operator.block == "description"
        assert guilty.operator.outputs[0][0] == name


def test_a_comparison_without_samples_is_refused(net, save_torch):
    path = save_torch(net, torch.zeros(1, 3, 12, 12))
    with pytest.raises(InputError, match="a comparison needs at least one sample"):
        compare(TorchReference(net), path, [])


def test_a_traced_program_serves_as_well_as_its_module(net, save_torch):
    path = save_torch(net, torch.zeros(1, 3, 12, 12))
    with warnings.catch_warnings():  # tracing is deprecated, and still what most people do
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, torch.zeros(1, 3, 12, 12))
    assert compare(TorchReference(traced), path, samples()).guilty is None


def test_a_module_in_training_mode_is_compared_as_it_predicts_and_left_as_it_was(net, save_torch):
    path = save_torch(net, torch.zeros(1, 3, 12, 12))
    net.train()
    assert compare(TorchReference(net), path, samples()).guilty is None
    assert net.training
