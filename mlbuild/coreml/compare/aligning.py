"""Which output of a candidate answers which of the reference's."""

from __future__ import annotations

from .recording import Recording
from .stepping import Steps


def align_outputs(steps: Steps, recording: Recording) -> dict[str, int]:
    """Which value of the candidate answers which output of the reference: by name, else by size.

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
    return {**found, **_by_size(steps, recording, rest, free)}


def _by_size(
    steps: Steps, recording: Recording, names: list[str], places: list[int]
) -> dict[str, int]:
    """Outputs without a common name: those of one size in one position, then of one size."""
    sizes = {name: _size(steps, name) for name in names}
    counts = {place: recording.values[place].value.numel() for place in places}
    pairs = zip(names, places, strict=False)
    found = {n: p for n, p in pairs if sizes[n] in (None, counts[p])}
    for name in names:
        free = [p for p in places if p not in found.values()]
        if name not in found and free:
            found[name] = next((p for p in free if counts[p] == sizes[name]), free[0])
    return found


def _size(steps: Steps, name: str) -> int | None:
    declared = steps.type_of(name)
    return declared.size if declared is not None else None
