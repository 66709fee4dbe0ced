"""Which output of a candidate answers which of the reference's."""

from __future__ import annotations

from .recording import Recording
from .stepping import Steps


def align_outputs(steps: Steps, recording: Recording) -> dict[str, int]:
    """Which value of the candidate answers which output of the reference: by name, else by order.

    A classifier's scores stand for its label and its dictionary.
    """
    names = []
    for name in steps.outputs:
        maker = steps.makers.get(name)
        if maker is not None and maker.use.type == "classify":
            name = maker.use.inputs["probabilities"][0]
        if name not in names:
            names.append(name)
    theirs = list(recording.outputs)
    by_name = {n: p for n, p in theirs if n}
    found = {n: by_name[n] for n in names if n in by_name}
    rest = [n for n in names if n not in found]
    free = [p for n, p in theirs if n not in found]
    for name, place in zip(rest, free, strict=False):
        found[name] = place
    return found
