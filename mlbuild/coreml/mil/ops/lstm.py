"""Long short-term memory, in one direction or both.

Source: coremltools MIL op docs, iOS15 and iOS17 recurrent (lstm); NeuralNetwork.proto, LSTMParams
and UniDirectionalLSTMLayerParams (peepholes; the cell's values are what ``clip`` limits).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..operator import Tensor, operator
from ..recurrent import Activation, in_order, initial, run
from ..recurrent import activation as activation_of


@dataclass(frozen=True, slots=True)
class _Cell:
    """One direction; weights have the gates in the order input, forget, output, cell."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor | None
    peephole: Tensor | None
    gate: Activation
    cell: Activation
    out: Activation
    clip: float | None

    def run(self, x: Tensor, h: Tensor, c: Tensor, whole: bool) -> tuple[Tensor, Tensor, Tensor]:
        """All states or the last one, the last hidden state, the last memory."""
        size, batch = int(self.weight_hh.shape[1]), int(x.shape[1])
        h, c = initial(h, batch), initial(c, batch)
        projected = x @ self.weight_ih.mT
        if self.bias is not None:
            projected = projected + self.bias
        p_i, p_f, p_o = (0.0,) * 3 if self.peephole is None else self.peephole.split(size)

        def step(given: Tensor) -> Tensor:
            nonlocal h, c
            i, f, o, z = (given + h @ self.weight_hh.mT).split(size, -1)
            c = self.gate(f + p_f * c) * c + self.gate(i + p_i * c) * self.cell(z)
            if self.clip is not None:
                c = torch.clamp(c, -self.clip, self.clip)
            h = self.gate(o + p_o * c) * self.out(c)
            return h

        output = run(projected, step, h, whole)
        return output, h, c


@operator("lstm")
def lstm(
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    peephole: Tensor | None = None,
    weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None,
    bias_back: Tensor | None = None,
    peephole_back: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Each step makes c = f c + i z and h = o activation(c).

    Args:
        x: [s, b, I].
        initial_h: [b, H], [b, 2 H] for both directions, the forward one first.
        initial_c: Likewise.
        weight_ih: [4 H, I], the gates in the order input, forget, output, cell.
        weight_hh: [4 H, H].
        bias: [4 H].
        peephole: [3 H], for input, forget and output gate.
        weight_ih_back: For the backward direction, as the following.
        weight_hh_back: [4 H, H].
        bias_back: [4 H].
        peephole_back: [3 H].
        direction: forward, reverse or bidirectional.
        output_sequence: Whether every state is wanted, not only the last one.
        recurrent_activation: Of the input, forget and output gates.
        cell_activation: Of the cell gate.
        activation: Of the output.
        clip: The memory's limit on both sides.

    Returns:
        The states [s, b, n H] or [1, b, n H], the last one and the last memory, [b, n H]. Both
        directions together stand in the sequence's own order, one stands in the order of
        processing.
    """
    names = (recurrent_activation, cell_activation, activation)
    gate, cell, out = (activation_of(name) for name in names)
    forward = _Cell(weight_ih, weight_hh, bias, peephole, gate, cell, out, clip)
    if direction != "bidirectional":
        return forward.run(in_order(x, direction), initial_h, initial_c, output_sequence)
    if weight_ih_back is None or weight_hh_back is None:
        raise ValueError("both directions need weight_ih_back and weight_hh_back")
    back_weights = (weight_ih_back, weight_hh_back, bias_back, peephole_back)
    backward = _Cell(*back_weights, gate, cell, out, clip)
    (h, h_back), (c, c_back) = initial_h.chunk(2, -1), initial_c.chunk(2, -1)
    ahead = forward.run(x, h, c, output_sequence)
    back = backward.run(torch.flip(x, [0]), h_back, c_back, output_sequence)
    outputs = torch.cat([ahead[0], torch.flip(back[0], [0])], -1)
    return outputs, torch.cat([ahead[1], back[1]], -1), torch.cat([ahead[2], back[2]], -1)
