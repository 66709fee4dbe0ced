"""The plain recurrent network.

Source: coremltools MIL op docs, iOS15 and iOS17 recurrent (rnn).
"""

from __future__ import annotations

from ..operator import Tensor, operator
from ..recurrent import activation as activation_of
from ..recurrent import in_order, initial, run


@operator("rnn")
def rnn(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """Each step makes h = activation(W_ih x + W_hh h + b).

    Args:
        x: [s, b, I].
        initial_h: [b, H].
        weight_ih: [H, I].
        weight_hh: [H, H].
        bias: [H].
        direction: forward or reverse.
        output_sequence: Whether every state is wanted, not only the last one.
        activation: Its name.

    Returns:
        The states [s, b, H] or [1, b, H] in the order of processing, and the last one, [b, H].
    """
    act = activation_of(activation)
    projected = in_order(x, direction) @ weight_ih.mT
    if bias is not None:
        projected = projected + bias
    h = initial(initial_h, int(x.shape[1]))

    def step(given: Tensor) -> Tensor:
        nonlocal h
        h = act(given + h @ weight_hh.mT)
        return h

    output = run(projected, step, h, output_sequence)
    return output, h
