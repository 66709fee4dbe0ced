"""The gated recurrent unit.

Source: coremltools MIL op docs, iOS15, iOS17 and iOS18 recurrent (gru). The reset gate is applied
before the matrix product, W_ho (r h), unless iOS18's ``reset_after`` says that it is applied
behind it, r (W_ho h + b_ho); ``input_bias`` then stays outside of the product with the gate.
"""

from __future__ import annotations

from ..operator import Tensor, operator
from ..recurrent import Activation, in_order, initial, run
from ..recurrent import activation as activation_of


def _gru(
    x: Tensor,
    h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    biases: tuple[Tensor | None, Tensor | None],
    whole: bool,
    gate: Activation,
    act: Activation,
    reset_after: bool,
) -> tuple[Tensor, Tensor]:
    """Gates stand in the order reset, output, update; biases are (input's, hidden's)."""
    size, h = int(weight_hh.shape[1]), initial(h, int(x.shape[1]))
    outer, inner = (0.0 if bias is None else bias for bias in biases)
    projected = x @ weight_ih.mT + outer
    if not reset_after:
        projected = projected + inner

    def before(given: Tensor) -> Tensor:
        nonlocal h
        r_in, o_in, z_in = given.split(size, -1)
        r = gate(r_in + h @ weight_hh[:size].mT)
        z = gate(z_in + h @ weight_hh[2 * size :].mT)
        o = act(o_in + (r * h) @ weight_hh[size : 2 * size].mT)
        h = (1 - z) * o + z * h
        return h

    def after(given: Tensor) -> Tensor:
        nonlocal h
        r_in, o_in, z_in = given.split(size, -1)
        r_h, o_h, z_h = (h @ weight_hh.mT + inner).split(size, -1)
        r, z = gate(r_in + r_h), gate(z_in + z_h)
        o = act(o_in + r * o_h)
        h = (1 - z) * o + z * h
        return h

    output = run(projected, after if reset_after else before, h, whole)
    return output, h


@operator("gru")
def gru(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """Each step makes h = (1 - z) o + z h.

    Args:
        x: [s, b, I].
        initial_h: [b, H].
        weight_ih: [3 H, I], the gates in the order reset, output, update.
        weight_hh: [3 H, H].
        bias: [3 H].
        direction: forward or reverse.
        output_sequence: Whether every state is wanted, not only the last one.
        recurrent_activation: Of the reset and update gates.
        activation: Of the output gate.

    Returns:
        The states [s, b, H] or [1, b, H] in the order of processing, and the last one, [b, H].
    """
    acts = activation_of(recurrent_activation), activation_of(activation)
    x = in_order(x, direction)
    return _gru(x, initial_h, weight_ih, weight_hh, (None, bias), output_sequence, *acts, False)


@operator("gru", since="iOS18")
def gru_ios18(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: bool = False,
    input_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same with a choice of where the reset gate is applied, and a bias of the input's own."""
    acts = activation_of(recurrent_activation), activation_of(activation)
    biases = (input_bias, bias)
    x = in_order(x, direction)
    return _gru(x, initial_h, weight_ih, weight_hh, biases, output_sequence, *acts, reset_after)
