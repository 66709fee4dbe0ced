"""Asks a Keras model, a SavedModel or a frozen graph, in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._shared.keras_model.net import Slot, open_net
from ..._shared.keras_model.setup import configure
from ..._shared.predictions.asking import ask_all, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.problem.problem import Problem, told


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    tf = configure(job)
    net = open_net(tf, job.inputs["model"], job.trust("model"))
    known = layouts(net.description)
    inputs = [
        Wanted(s.name, s.shape or None, s.dtype, known.get(s.name) or _last(s)) for s in net.slots
    ]

    def ask(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return net.call(feeds)
        except Exception as error:  # TensorFlow has a class for each of its status codes
            raise Problem(f"the model does not run: {str(error).splitlines()[0]}") from error

    ask_all(job, described(net.description, net.form), inputs, ask)


def _last(slot: Slot) -> str | None:
    """TensorFlow keeps channels last, unless a shape says otherwise."""
    if len(slot.shape) != 4 or (slot.shape[1] in (1, 3) and slot.shape[3] not in (1, 3)):
        return None
    return "NHWC"
