"""Comparison of models whose operations cannot be run one at a time.

Their values are looked for in the reference by content. An operation is named if its inputs are
right and nothing that it leads to is: where several in a row cannot be found, the first of them
is named and the others are told as possible too. Where the reference shows nothing between inputs
and outputs, only these are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..model import Model
from .comparison import Comparison, Guilty, OutputRow, Row
from .figures import figures
from .flow import Flow, Node
from .judge import outside
from .matching import SAME, Index, Match, Tensors, difference, is_telling
from .recording import Recording, Reference, Sample

_ALLOWED = ((8, 0.5), (16, 0.1), (32, 5e-3))  # below so many bits a weight, such a difference
_MOST_DOUBTED = 8


def compare_unstepped(
    reference: Reference,
    plain: Model,
    declared: Model,
    samples: Sequence[Sample],
    bits: int,
    labels: Sequence[Guilty],
) -> Comparison:
    """Compare by the values that a model shows.

    Args:
        reference: What is taken to be right.
        plain: The candidate without rounding.
        declared: The candidate as it is declared.
        samples: By the candidate's input names.
        bits: Of its coarsest weight: what that explains is no fault.
        labels: What is wrong with the labels, if anything is.
    """
    allowed = next((share for below, share in _ALLOWED if bits < below), SAME)
    found = _Findings(Flow(plain), reference, samples, allowed)
    rounded = [Flow(declared).run(sample) for sample in samples]
    suspects = [*labels, *found.accused()]
    rows = [found.row(name, match, rounded) for name, match in found.matches.items()]
    return Comparison(
        guilty=suspects[0] if suspects else None,
        suspects=tuple(suspects),
        first=next((row for row in rows if row.local > allowed), None),
        rows=tuple(rows),
        outputs=tuple(found.output(name, place, rounded) for name, place in found.outputs.items()),
        values=len(found.flow.makers),
        samples=len(samples),
    )


def coarsest(facts: Mapping[str, Any]) -> int:
    """The fewest bits that a weight is stored in, of what ``outline`` tells of a model."""
    found = [weight["bits"] for weight in facts.get("weights", ()) if weight["bits"]]
    for model in facts.get("models", ()):
        found.append(16 if model["type"] == "mlProgram" else coarsest(model))
    return min(found, default=32)


class _Findings:
    """A candidate's values against recordings."""

    def __init__(
        self, flow: Flow, reference: Reference, samples: Sequence[Sample], allowed: float
    ) -> None:
        self.flow, self._allowed = flow, allowed
        recordings = [reference.record(sample) for sample in samples]
        self.index = Index(recordings)
        self.ours = [flow.run(sample) for sample in samples][: len(self.index.values(0))]
        self.outputs = self._aligned(recordings[0])
        self.matches = self._matched()

    def accused(self) -> list[Guilty]:
        """The operations at which the candidate parts from the reference, if it does."""
        wrong = {n: self._error(self.flow.outputs[n], p) for n, p in self.outputs.items()}
        wrong = {name: error for name, error in wrong.items() if not error <= self._allowed}
        if not wrong:
            return []
        right = {id(node) for name in self._right() for node in self.flow.behind(name)}
        behind = [self.flow.behind(self.flow.outputs[name]) for name in wrong]
        leading = {id(node) for nodes in behind for node in nodes}
        open_ = [n for n in self.flow.nodes if id(n) in leading - right]
        worst = max(wrong, key=lambda name: wrong[name])
        if not open_:  # the output's own maker also makes something that is right
            open_ = [self.flow.makers[self.flow.outputs[worst]]]
        return [self._guilty(open_, worst, wrong[worst])]

    def row(self, name: str, match: Match, rounded: Sequence[Mapping[str, torch.Tensor]]) -> Row:
        """The figures of a value that was found."""
        recorded = self.index.first.values[match.place]
        return Row(
            operator=self.flow.makers[name].use,
            value=name,
            reference=str(recorded),
            scope=recorded.scope,
            declared=figures(self._values(name, rounded), match.values),
            float32=figures(self._values(name, self.ours), match.values),
            local=match.error,
        )

    def output(
        self, name: str, place: int, rounded: Sequence[Mapping[str, torch.Tensor]]
    ) -> OutputRow:
        """The figures of an output."""
        key, theirs = self.flow.outputs[name], self.index.values(place)
        return OutputRow(
            name,
            str(self.index.first.values[place]),
            figures(self._values(key, rounded), theirs),
            figures(self._values(key, self.ours), theirs),
        )

    def _values(self, name: str, runs: Sequence[Mapping[str, torch.Tensor]]) -> Tensors:
        return [run[name] for run in runs[: len(self.ours)]]

    def _error(self, name: str, place: int) -> float:
        ours, theirs = self._values(name, self.ours), self.index.values(place)
        if any(a.numel() != b.numel() for a, b in zip(ours, theirs, strict=True)):
            return math.inf
        shaped = [b.reshape(a.shape) for a, b in zip(ours, theirs, strict=True)]
        return difference(ours, shaped)

    def _aligned(self, recording: Recording) -> dict[str, int]:
        """Which output of the reference each output is: by name, else the next of its size."""
        by_name = {name: place for name, place in recording.outputs if name}
        shown = {n: k for n, k in self.flow.outputs.items() if k in self.ours[0]}
        found = {name: by_name[name] for name in shown if name in by_name}
        free = [place for name, place in recording.outputs if name not in found]
        late = []
        for name, key in shown.items():
            if name in found:
                continue
            count = self.ours[0][key].numel()
            place = next((p for p in free if recording.values[p].value.numel() == count), None)
            if place is None:
                late.append(name)
                continue
            free.remove(place)
            found[name] = place
        if not found:
            found = dict(zip(late, free, strict=False))  # of other sizes, and so wrong
        return found

    def _matched(self) -> dict[str, Match]:
        places = {self.flow.outputs[name]: place for name, place in self.outputs.items()}
        found: dict[str, Match] = {}
        for name in self.flow.makers:
            if any(name not in run for run in self.ours):
                continue
            values = self._values(name, self.ours)
            if any(v.shape[1:] != values[0].shape[1:] for v in values):
                continue
            match = self.index.find(values, self._allowed) if is_telling(values) else None
            if match is None and name in places:
                error = self._error(name, places[name])
                theirs = self.index.values(places[name])
                match = Match(places[name], theirs, error, True) if error < math.inf else None
            if match is not None:
                found[name] = match
        return found

    def _right(self) -> list[str]:
        wanted = {self.flow.outputs[name]: place for name, place in self.outputs.items()}
        return [
            name
            for name, match in self.matches.items()
            if match.error <= self._allowed and wanted.get(name, match.place) == match.place
        ]

    def _shows_nothing(self) -> bool:
        """Whether the reference has nothing between its inputs and outputs."""
        ends = {place for _, place in self.index.first.outputs}
        values = enumerate(self.index.first.values)
        return all(place in ends or value.kind == "input" for place, value in values)

    def _guilty(self, open_: list[Node], output: str, error: float) -> Guilty:
        place = self.outputs[output]
        theirs = self.index.first.values[place]
        share = "of another size" if error == math.inf else f"off by {error:.2%}"
        told = f"the output {output} is {share} from {theirs}"
        use = open_[0].use
        confidence = 0.9 if len(open_) == 1 else max(0.6 / len(open_), 0.1)
        if len(open_) == 1:
            why = f"it is given what the reference has, and {told}"
        elif self._shows_nothing():
            kind = str(list(theirs.value.shape))
            use = outside("outputs", output, kind)
            why = f"the reference shows no value between, only outputs are compared: {told}"
        else:
            why = f"it is the first that makes nothing that the reference has, and {told}"
        return Guilty(
            operator=use,
            confidence=confidence,
            why=why,
            cause="arithmetic",
            reference=str(theirs),
            scope=theirs.scope,
            local=error,
            damage=error,
            doubtful=tuple(n.use for n in open_ if n.use is not use)[:_MOST_DOUBTED],
        )
