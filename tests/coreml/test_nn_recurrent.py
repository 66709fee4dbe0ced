"""Recurrent layers, against torch and against the specification's equations in numpy."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tests.coreml.networks import array  # noqa: E402

pytestmark = pytest.mark.toolchain

SEQUENCE, BATCH, INPUTS, SIZE = 5, 3, 4, 6


X = array(SEQUENCE, BATCH, INPUTS)
H0, C0 = array(1, BATCH, SIZE, seed=1), array(1, BATCH, SIZE, seed=2)


def blobs(**arrays):
    return {name: value[..., None, None] for name, value in arrays.items()}


def gates(weight, order=(0, 1, 3, 2)):
    """Torch's rows for the gates i, f, z, o in the builder's order i, f, o, z."""
    parts = weight.detach().numpy().reshape(len(order), SIZE, -1)
    return [parts[n].squeeze(-1) if weight.dim() == 1 else parts[n] for n in order]


def lstm_arguments(net, end=""):
    bias = getattr(net, f"bias_ih_l0{end}") + getattr(net, f"bias_hh_l0{end}")
    return (
        gates(getattr(net, f"weight_hh_l0{end}")),
        gates(getattr(net, f"weight_ih_l0{end}")),
        gates(bias),
    )


@pytest.mark.parametrize("whole", [True, False], ids=["sequence", "end"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_lstm_is_torchs(run_network, whole, reverse):
    torch.manual_seed(3)
    net = torch.nn.LSTM(INPUTS, SIZE)
    w_h, w_x, b = lstm_arguments(net)

    def build(builder):
        builder.add_unilstm(
            "lstm", w_h, w_x, b, SIZE, INPUTS, ["x", "h", "c"], ["y", "last_h", "last_c"],
            output_all=whole, reverse_input=reverse,
        )  # fmt: skip

    made = run_network(build, blobs(x=X, h=H0, c=C0), ("y", "last_h", "last_c"))
    with torch.no_grad():
        x = torch.from_numpy(X)
        y, (h, c) = net(x.flip(0) if reverse else x, (torch.from_numpy(H0), torch.from_numpy(C0)))
    # a reversed sequence stays in the order in which it was made
    for found, expected in zip(made, (y if whole else y[-1:], h, c), strict=True):
        np.testing.assert_allclose(found[..., 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("whole", [True, False], ids=["sequence", "end"])
def test_lstm_in_both_directions_is_torchs(run_network, whole):
    torch.manual_seed(3)
    net = torch.nn.LSTM(INPUTS, SIZE, bidirectional=True)
    (w_h, w_x, b), (v_h, v_x, v_b) = lstm_arguments(net), lstm_arguments(net, "_reverse")
    names = ("y", "h1", "c1", "h2", "c2")
    back = {"h2": array(1, BATCH, SIZE, seed=4), "c2": array(1, BATCH, SIZE, seed=5)}

    def build(builder):
        builder.add_bidirlstm(
            "lstm", w_h, w_x, b, v_h, v_x, v_b, SIZE, INPUTS,
            ["x", "h", "c", "hb", "cb"], list(names), output_all=whole,
        )  # fmt: skip

    made = run_network(build, blobs(x=X, h=H0, c=C0, hb=back["h2"], cb=back["c2"]), names)
    with torch.no_grad():
        states = [np.concatenate(pair) for pair in ((H0, back["h2"]), (C0, back["c2"]))]
        y, (h, c) = net(torch.from_numpy(X), tuple(map(torch.from_numpy, states)))
    ends = torch.cat([y[-1:, :, :SIZE], y[:1, :, SIZE:]], -1)
    expected = (y if whole else ends, h[:1], c[:1], h[1:], c[1:])
    for found, wanted in zip(made, expected, strict=True):
        np.testing.assert_allclose(found[..., 0, 0], wanted, atol=1e-5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("coupled", [False, True])
def test_lstm_with_peepholes_and_a_clipped_cell_is_the_specifications(run_network, coupled):
    w_x, w_h = array(4, SIZE, INPUTS, seed=6), array(4, SIZE, SIZE, seed=7)
    b, p = array(4, SIZE, seed=8), array(3, SIZE, seed=9)
    limit = 0.3

    def build(builder):
        builder.add_unilstm(
            "lstm", list(w_h), list(w_x), list(b), SIZE, INPUTS, ["x"], ["y"], output_all=True,
            peep=list(p), forget_bias=True, cell_clip_threshold=limit,
            coupled_input_forget_gate=coupled,
        )  # fmt: skip

    found = run_network(build, blobs(x=X))[..., 0, 0]
    y, c = np.zeros((BATCH, SIZE)), np.zeros((BATCH, SIZE))
    for t, x in enumerate(X):
        i = sigmoid(x @ w_x[0].T + y @ w_h[0].T + b[0] + p[0] * c)
        f = sigmoid(x @ w_x[1].T + y @ w_h[1].T + b[1] + 1 + p[1] * c)
        z = np.tanh(x @ w_x[3].T + y @ w_h[3].T + b[3])
        c = np.clip((c * (1 - i) if coupled else c * f) + i * z, -limit, limit)
        o = sigmoid(x @ w_x[2].T + y @ w_h[2].T + b[2] + p[2] * c)
        y = np.tanh(c) * o
        np.testing.assert_allclose(found[t], y, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_gru_resets_the_state_before_the_recursion(run_network, reverse):
    w_x, w_h = array(3, SIZE, INPUTS, seed=6), array(3, SIZE, SIZE, seed=7)  # z, r, o
    b = array(3, SIZE, seed=8)

    def build(builder):
        builder.add_gru(
            "gru", list(w_h), list(w_x), list(b), SIZE, INPUTS, ["x", "h"], ["y", "last"],
            inner_activation="SIGMOID", output_all=True, reverse_input=reverse,
        )  # fmt: skip

    found, last = run_network(build, blobs(x=X, h=H0), ("y", "last"))
    y = H0[0]
    for t, x in enumerate(X[::-1] if reverse else X):
        z = sigmoid(x @ w_x[0].T + y @ w_h[0].T + b[0])
        r = sigmoid(x @ w_x[1].T + y @ w_h[1].T + b[1])
        o = np.tanh(x @ w_x[2].T + (y * r) @ w_h[2].T + b[2])
        y = (1 - z) * o + z * y
        np.testing.assert_allclose(found[t, ..., 0, 0], y, atol=1e-5)
    np.testing.assert_allclose(last[0, ..., 0, 0], y, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_simple_layer_is_torchs(run_network, activation):
    torch.manual_seed(3)
    net = torch.nn.RNN(INPUTS, SIZE, nonlinearity=activation)
    bias = (net.bias_ih_l0 + net.bias_hh_l0).detach().numpy()

    def build(builder):
        builder.add_simple_rnn(
            "rnn", net.weight_hh_l0.detach().numpy(), net.weight_ih_l0.detach().numpy(), bias,
            SIZE, INPUTS, activation, ["x", "h"], ["y", "last"], output_all=True,
        )  # fmt: skip

    found, last = run_network(build, blobs(x=X, h=H0), ("y", "last"))
    with torch.no_grad():
        y, h = net(torch.from_numpy(X), torch.from_numpy(H0))
    np.testing.assert_allclose(found[..., 0, 0], y, atol=1e-5)
    np.testing.assert_allclose(last[..., 0, 0], h, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("linear", lambda x: x),
        ("sigmoid", sigmoid),
        ("hard_sigmoid", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("scaled_tanh", np.tanh),  # without parameters, as coremltools writes it
    ],
)
def test_sums_are_clipped_at_fifty_before_each_activation(run_network, activation, function):
    def build(builder):
        builder.add_simple_rnn(
            "rnn", np.zeros((1, 1)), np.ones((1, 1)), None, 1, 1, activation, ["x"], ["y"],
            output_all=True,
        )  # fmt: skip

    x = np.array([-100.0, -2, -0.5, 0, 1, 3, 70])
    found = run_network(build, {"x": x.reshape(-1, 1, 1, 1, 1)})
    np.testing.assert_allclose(found.ravel(), function(np.clip(x, -50, 50)), atol=1e-6)


def test_a_sequence_of_another_width_is_told(run_network):
    from mlbuild.coreml import ExecutionError

    def build(builder):
        builder.add_simple_rnn(
            "rnn", np.zeros((1, 1)), np.ones((1, 2)), None, 1, 2, "tanh", ["x"], ["y"]
        )

    with pytest.raises(ExecutionError) as error:
        run_network(build, {"x": np.zeros((4, 1, 3, 1, 1))})
    assert str(error.value) == (
        "layer 0 'rnn', simpleRecurrent: a sequence [S, B, 2, 1, 1] is needed, "
        "not [4, 1, 3, 1, 1]\n  got: inputs 'x' [4, 1, 3, 1, 1]"
    )
