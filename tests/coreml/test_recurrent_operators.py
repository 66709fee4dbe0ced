"""Recurrent operators against torch's own layers, and against the equations of their pages."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytestmark = pytest.mark.toolchain

STEPS, BATCH, INPUT, HIDDEN = 5, 2, 3, 4


def real(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def run(save_program, build, inputs, opset="iOS15", **options):
    from mlbuild.coreml import load

    return list(load(save_program(build, inputs, opset), **options).predict(inputs).values())


def gates(weights, order):
    """Blocks of torch's weights in the order in which the operator wants them."""
    size = len(weights) // len(order)
    return np.concatenate([weights.detach().numpy()[i * size : (i + 1) * size] for i in order])


def torch_weights(layer, order, suffix=""):
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [gates(getattr(layer, name + suffix), order) for name in names]


X, H, C = real(STEPS, BATCH, INPUT), real(BATCH, HIDDEN, seed=1), real(BATCH, HIDDEN, seed=2)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_lstm_is_torchs_and_reversed_it_stays_in_processing_order(save_program, direction, whole):
    torch.manual_seed(0)
    layer = torch.nn.LSTM(INPUT, HIDDEN)
    w, r, b, c = torch_weights(layer, (0, 1, 3, 2))  # torch's order is i f g o

    def build(mb, x, h, c0):
        return mb.lstm(
            x=x, initial_h=h, initial_c=c0, weight_ih=w, weight_hh=r, bias=b + c,
            direction=direction, output_sequence=whole,
        )  # fmt: skip

    given = X[::-1].copy() if direction == "reverse" else X
    start = (torch.from_numpy(H)[None], torch.from_numpy(C)[None])
    expected, (last, memory) = layer(torch.from_numpy(given), start)
    got = run(save_program, build, {"x": X, "h": H, "c0": C})
    expected = expected.detach().numpy()
    np.testing.assert_allclose(got[0], expected if whole else expected[-1:], atol=1e-6)
    np.testing.assert_allclose(got[1], last.detach()[0], atol=1e-6)
    np.testing.assert_allclose(got[2], memory.detach()[0], atol=1e-6)


def test_both_directions_of_lstm_stand_in_the_sequences_order(save_program):
    torch.manual_seed(1)
    layer = torch.nn.LSTM(INPUT, HIDDEN, bidirectional=True)
    w, r, b, c = torch_weights(layer, (0, 1, 3, 2))
    wb, rb, bb, cb = torch_weights(layer, (0, 1, 3, 2), "_reverse")
    h, c0 = real(2, BATCH, HIDDEN, seed=3), real(2, BATCH, HIDDEN, seed=4)

    def build(mb, x, h, c0):
        return mb.lstm(
            x=x, initial_h=h, initial_c=c0, weight_ih=w, weight_hh=r, bias=b + c,
            weight_ih_back=wb, weight_hh_back=rb, bias_back=bb + cb,
            direction="bidirectional", output_sequence=True,
        )  # fmt: skip

    expected, (last, _) = layer(torch.from_numpy(X), (torch.from_numpy(h), torch.from_numpy(c0)))
    flat = {"x": X, "h": np.concatenate(h, -1), "c0": np.concatenate(c0, -1)}
    got = run(save_program, build, flat)
    np.testing.assert_allclose(got[0], expected.detach(), atol=1e-6)
    np.testing.assert_allclose(got[1], np.concatenate(last.detach().numpy(), -1), atol=1e-6)


def test_peepholes_and_the_memorys_limit_follow_the_equations(save_program):
    """One step of one cell, worked out by hand: the output gate sees the memory cut off."""
    ones, peephole = np.ones((4, 1), np.float32), np.array([0.5, -1.0, 2.0], np.float32)

    def build(mb, x, h, c0):
        return mb.lstm(
            x=x, initial_h=h, initial_c=c0, weight_ih=ones, weight_hh=ones, peephole=peephole,
            recurrent_activation="hard_sigmoid", cell_activation="linear", activation="relu",
            clip=0.75,
        )  # fmt: skip

    inputs = {
        "x": np.full((1, 1, 1), 0.25, np.float32),
        "h": np.full((1, 1), 0.5, np.float32),
        "c0": np.full((1, 1), 1.0, np.float32),
    }
    # every gate's sum is 0.75; i = 0.2 * 1.25 + 0.5 = 0.75, f = 0.2 * -0.25 + 0.5 = 0.45
    # c = 0.45 + 0.75 * 0.75 = 1.0125, cut to 0.75; o = 0.2 * (0.75 + 2 * 0.75) + 0.5 = 0.95
    got = run(save_program, build, inputs)
    np.testing.assert_allclose(got[2], [[0.75]], atol=1e-6)
    np.testing.assert_allclose(got[1], [[0.95 * 0.75]], atol=1e-6)


def numpy_gru(x, h, w, r, bias):
    """The equations of the operator's page, the reset gate in front of the matrix product."""
    size, states = h.shape[1], []
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    (w_r, w_o, w_z), (r_r, r_o, r_z) = w.reshape(3, size, -1), r.reshape(3, size, -1)
    b_r, b_o, b_z = bias.reshape(3, size)
    for given in x:
        reset = sigmoid(given @ w_r.T + h @ r_r.T + b_r)
        update = sigmoid(given @ w_z.T + h @ r_z.T + b_z)
        made = np.tanh(given @ w_o.T + (reset * h) @ r_o.T + b_o)
        h = (1 - update) * made + update * h
        states.append(h)
    return np.stack(states)


GRU = real(3 * HIDDEN, INPUT, seed=5), real(3 * HIDDEN, HIDDEN, seed=6), real(3 * HIDDEN, seed=7)


@pytest.mark.parametrize("opset", ["iOS15", "iOS18"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_gru_resets_before_the_product(save_program, opset, direction):
    w, r, bias = GRU

    def build(mb, x, h):
        return mb.gru(
            x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=bias, direction=direction,
            output_sequence=True,
        )  # fmt: skip

    expected = numpy_gru(X[::-1] if direction == "reverse" else X, H, w, r, bias)
    got = run(save_program, build, {"x": X, "h": H}, opset)
    np.testing.assert_allclose(got[0], expected, atol=1e-6)
    np.testing.assert_allclose(got[1], expected[-1], atol=1e-6)


def test_gru_of_ios18_may_reset_behind_the_product_as_torch_does(save_program):
    torch.manual_seed(2)
    layer = torch.nn.GRU(INPUT, HIDDEN)
    w, r, b, c = torch_weights(layer, (0, 2, 1))  # torch's order is r z n

    def build(mb, x, h):
        return mb.gru(
            x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=c, input_bias=b, reset_after=True,
            output_sequence=True,
        )  # fmt: skip

    expected, last = layer(torch.from_numpy(X), torch.from_numpy(H)[None])
    got = run(save_program, build, {"x": X, "h": H}, "iOS18")
    np.testing.assert_allclose(got[0], expected.detach(), atol=1e-6)
    np.testing.assert_allclose(got[1], last.detach()[0], atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "relu", "scaled_tanh"])
def test_rnn_is_torchs_and_scaled_tanh_is_tanh(save_program, name):
    torch.manual_seed(3)
    layer = torch.nn.RNN(INPUT, HIDDEN, nonlinearity="relu" if name == "relu" else "tanh")
    w, r, b, c = torch_weights(layer, (0,))

    def build(mb, x, h):
        return mb.rnn(
            x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=b + c, activation=name,
            output_sequence=True,
        )  # fmt: skip

    expected, last = layer(torch.from_numpy(X), torch.from_numpy(H)[None])
    got = run(save_program, build, {"x": X, "h": H})
    np.testing.assert_allclose(got[0], expected.detach(), atol=1e-6)
    np.testing.assert_allclose(got[1], last.detach()[0], atol=1e-6)


def test_an_unknown_activation_is_refused_with_its_place(save_program):
    from mlbuild.coreml import ExecutionError

    def build(mb, x, h):
        return mb.rnn(
            x=x, initial_h=h, weight_ih=real(HIDDEN, INPUT), weight_hh=real(HIDDEN, HIDDEN),
            activation="swish", name="inner",
        )  # fmt: skip

    with pytest.raises(ExecutionError) as error:
        run(save_program, build, {"x": X, "h": H})
    assert str(error.value).endswith(
        "iOS15.rnn (makes inner_0, inner_1): unknown activation swish; known: hard_sigmoid, linear,"
        " relu, scaled_tanh, sigmoid, sigmoid_hard, tanh"
    )


def test_a_packed_sequence_of_torch_runs_as_coremltools_converts_it(ct, save_torch):
    """Its initial state has a row for each step of the longest sequence."""
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from mlbuild.coreml import load

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(INPUT, HIDDEN, batch_first=True)

        def forward(self, x, lengths):
            packed = pack_padded_sequence(x, lengths, batch_first=True)
            return pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    torch.manual_seed(4)
    x, lengths = torch.randn(3, 6, INPUT), torch.tensor([6, 3, 1], dtype=torch.int32)
    net = Encoder().eval()
    inputs = [
        ct.TensorType(name="x", shape=tuple(x.shape)),
        ct.TensorType(name="lengths", shape=(3,), dtype=np.int32),
    ]
    path = save_torch(net, (x, lengths), inputs, target="iOS15", precision="float32")
    (got,) = load(path).predict({"x": x, "lengths": lengths}).values()
    np.testing.assert_allclose(got, net(x, lengths).detach(), atol=1e-6)
