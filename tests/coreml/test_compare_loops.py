"""Loops over lists: their float16 constants excuse what rounding them does, and no more."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mlbuild.coreml.compare import TorchReference, compare  # noqa: E402
from mlbuild.coreml.compare.stepping import Steps  # noqa: E402
from mlbuild.coreml.model import load  # noqa: E402

pytestmark = pytest.mark.toolchain

STEPS, WIDE = 10, 6


class Loop(torch.nn.Module):
    """A recurrent layer whose weight is a product of two, as a converter folds them."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(WIDE, WIDE, generator=generator) * 0.4)
        self.register_buffer("scale", torch.rand(WIDE, generator=generator) + 0.5)

    def forward(self, x):
        state = torch.zeros(1, WIDE)
        made = []
        for row in torch.tanh(x).unbind(0):
            state = torch.sin((state * self.scale) @ self.weight + row)
            made.append(state)
        return torch.atan(torch.stack(made))


def loop(weight):
    """The same as converters of Keras write it: a while_loop that writes into a list."""

    def build(mb, x):
        x = mb.tanh(x=x, name="start")
        made = mb.make_list(init_length=STEPS, elem_shape=(1, WIDE), name="list")

        def body(count, made, state):
            row = mb.gather(x=x, indices=count, axis=0)
            product = mb.matmul(x=state, y=weight)
            state = mb.sin(x=mb.add(x=product, y=row))
            written = mb.list_write(ls=made, index=count, value=state)
            return mb.add(x=count, y=np.int32(1)), written, state

        zero = np.zeros((1, WIDE), np.float32)
        _, made, _ = mb.while_loop(
            _cond=lambda count, made, state: mb.less(x=count, y=np.int32(STEPS)),
            _body=body,
            loop_vars=(np.int32(0), made, mb.mul(x=mb.gather(x=x, indices=0, axis=0), y=zero)),
        )
        rows = mb.list_gather(ls=made, indices=np.arange(STEPS, dtype=np.int32), name="rows")
        return mb.atan(x=rows, name="end")

    return build


@pytest.fixture
def packaged(save_program):
    def package(change=lambda weight: weight):
        net = Loop()
        rng = np.random.default_rng(4)
        samples = [{"x": rng.standard_normal((STEPS, 1, WIDE)).astype(np.float32)} for _ in "ab"]
        weight = (net.scale[:, None] * net.weight).numpy()
        build = loop(change(weight))
        return net, save_program(build, samples[0], "iOS17", precision="float16"), samples

    return package


def test_rounding_the_constants_of_a_loop_accuses_nobody(packaged):
    net, path, samples = packaged()
    found = compare(TorchReference(net), path, samples)

    assert found.guilty is None
    rows = next(row for row in found.rows if row.operator.type == "list_gather")
    assert rows.local < 1e-2  # what ten turns make of a weight's rounding


def test_another_weight_in_a_loop_is_the_loops_fault(packaged):
    net, path, samples = packaged(lambda weight: weight[::-1].copy())
    guilty = compare(TorchReference(net), path, samples).guilty

    assert "while_loop" in {guilty.operator.type, *(use.type for use in guilty.doubtful)}
    assert guilty.local > 0.1


def test_the_constants_of_a_loop_are_the_steps_own_and_can_be_given_anew(packaged):
    _, path, samples = packaged()
    steps = Steps(load(path, precision="float32"))
    (step,) = [s for s in steps.steps if s.use.type == "while_loop"]
    (name,) = [n for n in step.weights if step.weight(n).shape == (WIDE, WIDE)]
    values = steps.encode(samples[0])
    for other in steps.steps[: steps.steps.index(step)]:
        values |= other.run(values)
    state = step.outputs[-1]
    as_is, zero = (step.run(values, w)[state] for w in (None, {name: torch.zeros(WIDE, WIDE)}))

    assert not step.hides_half
    last = torch.sin(torch.tanh(torch.from_numpy(samples[0]["x"]))[-1])
    torch.testing.assert_close(zero, last, rtol=1e-5, atol=1e-6)
    assert float((as_is - last).abs().max()) > 0.01
