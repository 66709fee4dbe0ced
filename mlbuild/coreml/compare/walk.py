"""Walks through a candidate on the reference's values and finds where the two part.

Every operation is run in float32 on *clean* inputs: the reference's own values wherever they are
known, so that an error of one operation never reaches the next one. An output that equals a value
of the reference clears what led to it. What nothing clears is doubtful: see ``settling``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..errors import ExecutionError
from .aligning import align_outputs
from .matching import SAME, Index, Match, Tensors, difference, is_telling, same
from .recording import Sample
from .rounding import Known, Originals, explained, unrounded
from .stepping import Step, Steps


@dataclass(eq=False)
class Walk:
    """The state of a walk: what is clean, what matches, what was replaced."""

    steps: Steps
    index: Index
    originals: Originals
    samples: Sequence[Sample]
    clean: dict[str, list[Any]] = field(default_factory=dict)
    made: dict[str, list[Any]] = field(default_factory=dict)
    matches: dict[str, Match] = field(default_factory=dict)
    forced: dict[str, Match] = field(default_factory=dict)
    local: dict[str, float] = field(default_factory=dict)
    _inherited: set[str] = field(default_factory=set)
    _slack: dict[str, float] = field(default_factory=dict)
    _known: dict[str, dict[str, Known]] = field(default_factory=dict)
    _outputs: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Encode the samples and walk once through the whole program."""
        encoded = [self.steps.encode(sample) for sample in self.samples]
        for name in self.steps.inputs:
            self.clean[name] = [values[name] for values in encoded]
            self._see(name, None)
        self._outputs = align_outputs(self.steps, self.index.first)
        for step in self.steps.steps:
            self._take(step)

    def copy(self) -> Walk:
        """One in which values can be replaced without a change in this one."""
        return replace(
            self,
            clean=dict(self.clean),
            made=dict(self.made),
            matches=dict(self.matches),
            forced=dict(self.forced),
            local=dict(self.local),
            _inherited=set(self._inherited),
            _slack=dict(self._slack),
        )

    def doubtful(self) -> list[Step]:
        """Steps that lead to a wrong output and that nothing behind them has cleared.

        A value is cleared by being the reference's, or by everything that is made of it being
        so: one branch of it may not feel an error that another one does.
        """
        right = {name for name, place in self._outputs.items() if self._is_output(name, place)}
        wanted = self.with_origins(name for name in self._outputs if name not in right)
        open_: set[str] = set()
        found: list[Step] = []
        for step in reversed(self.steps.steps):
            mine = [n for n in step.outputs if n in wanted]
            if any(
                (n in open_ or (n in self._outputs and n not in right)) and not self.is_right(n)
                for n in mine
            ):
                found.append(step)
                open_ |= set(step.inputs)
        return found[::-1]

    def is_right(self, name: str) -> bool:
        """Whether a value is held to be right: given anew, or strongly matched."""
        match = self.matches.get(name)
        return name in self.forced or (
            match is not None and match.strong and not match.piece and name not in self._inherited
        )

    def behind(self, *names: str) -> list[Step]:
        """The steps that depend on values, in order."""
        tainted, found = set(names), []
        for step in self.steps.steps:
            if tainted & set(step.inputs):
                tainted |= set(step.outputs)
                found.append(step)
        return found

    def known(self, step: Step) -> dict[str, torch.Tensor]:
        """A step's constants as they were before they were stored, where the reference has them."""
        return {name: known.value for name, known in self.originals_of(step).items()}

    def originals_of(self, step: Step) -> dict[str, Known]:
        """The reference's weights for a step's constants, before they were rounded."""
        key = step.outputs[0] if step.outputs else ""
        if key not in self._known:
            self._known[key] = unrounded(step, self.originals)
        return self._known[key]

    def inputs_of(self, step: Step) -> list[dict[str, Any]]:
        """The clean inputs of a step on each sample."""
        return self.given_to(step, self.clean)

    def made_from(self, name: str) -> set[str]:
        """A value with everything that it is made from."""
        step = self.steps.makers.get(name)
        return self.with_origins(step.inputs) if step is not None else {name}

    def again(
        self, values: dict[str, list[Any]], changed: Iterable[str], wanted: str
    ) -> list[Any] | None:
        """One value anew, after others were changed in ``values``."""
        for step in self.behind(*changed):
            made = [step.run(given, self.known(step)) for given in self.given_to(step, values)]
            for name in step.outputs:
                values[name] = [m[name] for m in made]
            if wanted in step.outputs:
                return values[wanted]
        return None

    def outputs(self) -> dict[str, int]:
        """The candidate's output values and the positions of the reference's."""
        return self._outputs

    def _take(self, step: Step) -> None:
        inputs = self.given_to(step, self.clean)
        try:
            made = [step.run(given, self.known(step)) for given in inputs]
        except (RuntimeError, ValueError, IndexError) as error:
            text = str(error).split("\n")[0]
            place = f"{step.use.type} {', '.join(step.outputs)}"
            raise ExecutionError("its inputs do not go together", place=place, got=text) from error
        for name in step.outputs:
            self.made[name] = self.clean[name] = [values[name] for values in made]
            if name in self.forced:
                self._stand_in(name)
            else:
                self._see(name, step)

    def _stand_in(self, name: str) -> None:
        match = self.forced[name]
        self.local[name] = difference(self.made[name], match.values)
        self.clean[name] = list(match.values)
        self.matches[name] = match

    def _see(self, name: str, step: Step | None) -> None:
        """Find a new value in the reference."""
        values = self.clean[name]
        self.matches.pop(name, None)
        self._inherited.discard(name)
        self._slack[name] = self._inherited_slack(step)
        if not isinstance(values[0], torch.Tensor):
            self._slack[name] += self._noise(step) if step is not None else 0.0
            return
        if not is_telling(values):
            return
        if step is not None and self.changes_nothing(step, values, self.clean):
            self._inherited.add(name)
        match = self._find(name, step)
        if match is None:
            return
        self.matches[name] = match
        if match.strong and not match.piece:
            self.local[name] = match.error
            self._slack[name] = 0.0
            if len(match.values) == len(values):
                self.clean[name] = [
                    m.to(v.dtype) for m, v in zip(match.values, values, strict=True)
                ]

    def _find(self, name: str, step: Step | None) -> Match | None:
        values, slack = self.clean[name], self._slack[name]
        match = self.index.find(values, SAME)
        if (match is not None and match.strong) or step is None:
            return match
        noise = self._noise(step) + slack
        self._slack[name] = noise
        if noise == 0:
            return match
        return self.index.find(values, SAME + noise) or match

    def _noise(self, step: Step) -> float:
        """How far storing its constants may have moved what a step makes."""
        inputs = self.inputs_of(step)
        made = [
            {n: self.made[n][i] for n in step.outputs if n in self.made} for i in range(len(inputs))
        ]
        made = [{**dict.fromkeys(step.outputs), **values} for values in made]
        return explained(step, inputs, made, self.originals_of(step))

    def _inherited_slack(self, step: Step | None) -> float:
        return max((self._slack.get(n, 0.0) for n in step.inputs), default=0.0) if step else 0.0

    def changes_nothing(
        self, step: Step, values: Tensors, given_values: Mapping[str, list[Any]]
    ) -> bool:
        """Whether an output is one of the inputs again, and thus tells nothing new."""
        for name in step.inputs:
            given = given_values[name]
            if isinstance(given[0], torch.Tensor) and given[0].numel() == values[0].numel():
                laid = [g.reshape(v.shape) for g, v in zip(given, values, strict=True)]
                if same(values, laid):
                    return True
        return False

    def given_to(self, step: Step, values: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """The inputs of a step among ``values``, by name, for each sample."""
        return [{name: values[name][i] for name in step.inputs} for i in range(len(self.samples))]

    def with_origins(self, names: Iterable[str]) -> set[str]:
        """Values together with everything that they were made from."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            step = self.steps.makers.get(name)
            if step is not None and name not in self.forced:
                waiting += step.inputs
        return found

    def _is_output(self, name: str, place: int) -> bool:
        if name in self.forced:
            return True
        match = self.index.compare(place, self.clean[name], SAME + self._slack.get(name, 0.0))
        return match is not None and match.strong

    def replace(self, name: str, match: Match) -> None:
        """Put what the reference has in place of a value, and compute what follows again."""
        self.forced[name] = match
        self._stand_in(name)
        for step in self.behind(name):
            self._take(step)
