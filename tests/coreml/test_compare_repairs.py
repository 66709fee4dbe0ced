"""Operators without a counterpart in the reference: the one that a small repair puts right."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml.compare import TorchReference, compare  # noqa: E402

pytestmark = pytest.mark.toolchain


class Norm(torch.nn.Module):
    """A norm as torch computes one of groups: no value is what the mean was taken from."""

    def forward(self, x):
        x = torch.sinh(x)
        variance, mean = torch.var_mean(x, dim=(1, 2), unbiased=False, keepdim=True)
        scale = torch.rsqrt(variance + 1e-3)
        return torch.atan(x * scale + -mean * scale)


def norm(mb, x, *, doubled=False, exchanged=False, wrong="real_div"):
    """``Norm`` in the pieces in which coremltools writes it, one of them perhaps wrong."""
    x = mb.sinh(x=x, name="start")
    mean = mb.reduce_mean(x=x, axes=[1, 2], keep_dims=True, name="mean")
    pair = (mean, x) if exchanged else (x, mean)
    centred = mb.sub(x=pair[0], y=pair[1], name="centred")
    square = mb.square(x=centred, name="square")
    if doubled:
        square = mb.square(x=square, name="square_twice")
    variance = mb.reduce_mean(x=square, axes=[1, 2], keep_dims=True, name="variance")
    root = mb.sqrt(x=mb.add(x=variance, y=np.float32(1e-3), name="guarded"), name="root")
    y = getattr(mb, wrong)(x=centred, y=root, name="y")
    return mb.atan(x=y, name="end")


@pytest.fixture
def found(save_program):
    def compared(**other):
        rng = np.random.default_rng(0)
        samples = [{"x": rng.standard_normal((1, 6, 7)).astype(np.float32)} for _ in range(2)]
        path = save_program(lambda mb, x: norm(mb, x, **other), samples[0], "iOS17")
        return compare(TorchReference(Norm()), path, samples).guilty

    return compared


def test_nobody_is_accused_of_the_right_pieces(found):
    assert found() is None


@pytest.mark.parametrize(
    ("other", "made", "repair"),
    [
        ({"doubled": True}, {"square", "square_twice"}, "were it left out"),
        ({"exchanged": True}, {"centred"}, "were it with its operands exchanged"),
        ({"wrong": "maximum"}, {"y"}, "on right inputs it differs"),
    ],
    ids=["an operator stands twice", "operands exchanged", "another operator"],
)
def test_the_piece_is_named_that_a_repair_puts_right(found, other, made, repair):
    guilty = found(**other)

    assert guilty.operator.outputs[0][0] in made, guilty
    assert guilty.why.startswith(repair), guilty.why


class Parts(torch.nn.Module):
    """Two parts that are not used alike."""

    def forward(self, x):
        one, other = torch.tanh(x).split(4, dim=-1)
        return torch.matmul(one, other.transpose(-1, -2))


def test_parts_in_another_order_are_the_fault_of_what_split_them(save_program):
    def build(mb, x):
        other, one = mb.split(x=mb.tanh(x=x), num_splits=2, axis=-1, name="parts")
        return mb.matmul(x=one, y=other, transpose_y=True, name="end")

    samples = [{"x": np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)}]
    guilty = compare(TorchReference(Parts()), save_program(build, samples[0]), samples).guilty

    assert guilty.operator.type == "split"
    assert "with its parts in another order" in guilty.why


def test_one_explanation_is_preferred_to_two(save_program):
    """x + 3 in the place of the first piece would make the second right by chance."""

    def build(mb, x):
        x = mb.thresholded_relu(x=mb.sinh(x=x), alpha=np.float32(-3), name="cut")
        gate = mb.sigmoid_hard(x=x, alpha=np.float32(1 / 6), beta=np.float32(0.5), name="gate")
        return mb.atan(x=mb.maximum(x=gate, y=x, name="product"), name="end")

    def right(x):
        return torch.atan(torch.nn.functional.hardswish(torch.sinh(x)))

    samples = [{"x": np.random.default_rng(2).standard_normal((4, 16)).astype(np.float32)}]
    guilty = compare(TorchReference(right), save_program(build, samples[0]), samples).guilty

    assert guilty.operator.outputs[0][0] == "product"
    assert guilty.confidence < 0.95  # others stand in doubt, and are told
    assert {"cut", "gate"} == {use.outputs[0][0] for use in guilty.doubtful}


def test_an_output_that_is_only_cast_behind_the_guilty_one_is_not_accused(save_program):
    def build(mb, x):
        y = mb.sigmoid(x=mb.tanh(x=x, name="before"), name="wrong")
        return mb.cast(x=y, dtype="fp16", name="end")

    def right(x):
        return torch.softmax(torch.tanh(x), -1)

    samples = [{"x": np.random.default_rng(3).standard_normal((2, 9)).astype(np.float32)}]
    path = save_program(build, samples[0], "iOS16")

    assert compare(TorchReference(right), path, samples).guilty.operator.type == "sigmoid"
