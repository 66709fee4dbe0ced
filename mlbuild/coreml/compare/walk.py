"""Walks through a candidate on the reference's values and finds where the two part.

Every operation is run in float32 on *clean* inputs: the reference's own values wherever they are
known, so that an error of one operation never reaches the next one. An output that equals a value
of the reference clears what led to it. What nothing clears is doubtful, and is settled by a
question: if this value were the reference's, would everything behind it be right again?
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .aligning import align_outputs
from .matching import SAME, Index, Match, Tensors, difference, is_telling, same
from .recording import Sample
from .rounding import Known, Originals, explained, unrounded
from .stepping import Step, Steps

_LOOK_AHEAD = 24  # operations behind a value that are tried for a match
_TRIALS = 24  # values of the reference that are tried for one of the candidate
_OTHERS = 12  # operations behind the first explanation that may give a simpler one


@dataclass(frozen=True, slots=True)
class Parting:
    """A value that had to be replaced by the reference's for the rest to be right.

    Attributes:
        step: What made it.
        value: Its name.
        match: The reference's value.
        error: Relative difference of what the step made of clean inputs.
        doubtful: The steps that may be at fault, in order, ``step`` the last of them.
        proven: Whether the rest was seen to be right again.
    """

    step: Step
    value: str
    match: Match
    error: float
    doubtful: tuple[Step, ...]
    proven: bool


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

    def partings(self) -> list[Parting]:
        """Where candidate and reference part, in order; empty where nothing is in doubt."""
        found: list[Parting] = []
        while len(found) < len(self.steps.steps):
            doubtful = self.doubtful()
            if not doubtful:
                break
            parting = self._settle(doubtful)
            if parting is None:
                break
            found.append(parting)
            self._replace(parting.value, parting.match)
        return found

    def doubtful(self) -> list[Step]:
        """Steps that lead to a wrong output and that nothing behind them has cleared.

        A value is cleared by being the reference's, or by everything that is made of it being
        so: one branch of it may not feel an error that another one does.
        """
        right = {name for name, place in self._outputs.items() if self._is_output(name, place)}
        wanted = self._behind(name for name in self._outputs if name not in right)
        open_: set[str] = set()
        found: list[Step] = []
        for step in reversed(self.steps.steps):
            mine = [n for n in step.outputs if n in wanted]
            if any(
                (n in open_ or (n in self._outputs and n not in right)) and not self._is_right(n)
                for n in mine
            ):
                found.append(step)
                open_ |= set(step.inputs)
        return found[::-1]

    def _is_right(self, name: str) -> bool:
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
        return {name: known.value for name, known in self._originals_of(step).items()}

    def _originals_of(self, step: Step) -> dict[str, Known]:
        key = step.outputs[0] if step.outputs else ""
        if key not in self._known:
            self._known[key] = unrounded(step, self.originals)
        return self._known[key]

    def inputs_of(self, step: Step) -> list[dict[str, Any]]:
        """The clean inputs of a step on each sample."""
        return self._inputs(step, self.clean)

    def made_from(self, name: str) -> set[str]:
        """A value with everything that it is made from."""
        step = self.steps.makers.get(name)
        return self._behind(step.inputs) if step is not None else {name}

    def again(
        self, values: dict[str, list[Any]], changed: Iterable[str], wanted: str
    ) -> list[Any] | None:
        """One value anew, after others were changed in ``values``."""
        for step in self.behind(*changed):
            made = [step.run(given, self.known(step)) for given in self._inputs(step, values)]
            for name in step.outputs:
                values[name] = [m[name] for m in made]
            if wanted in step.outputs:
                return values[wanted]
        return None

    def outputs(self) -> dict[str, int]:
        """The candidate's output values and the positions of the reference's."""
        return self._outputs

    def _take(self, step: Step) -> None:
        inputs = self._inputs(step, self.clean)
        made = [step.run(given, self.known(step)) for given in inputs]
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
        if step is not None and self._changes_nothing(step, values):
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
        return explained(step, inputs, made, self._originals_of(step))

    def _inherited_slack(self, step: Step | None) -> float:
        return max((self._slack.get(n, 0.0) for n in step.inputs), default=0.0) if step else 0.0

    def _changes_nothing(self, step: Step, values: Tensors) -> bool:
        """Whether an output is one of the inputs again, and thus tells nothing new."""
        for name in step.inputs:
            given = self.clean[name]
            if isinstance(given[0], torch.Tensor) and given[0].numel() == values[0].numel():
                laid = [g.reshape(v.shape) for g, v in zip(given, values, strict=True)]
                if same(values, laid):
                    return True
        return False

    def _inputs(self, step: Step, values: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        return [{name: values[name][i] for name in step.inputs} for i in range(len(self.samples))]

    def _behind(self, names: Iterable[str]) -> set[str]:
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

    def _settle(self, doubtful: list[Step]) -> Parting | None:
        """The first value that has to be replaced, seen by what comes right behind it."""
        first, last = None, len(doubtful)
        for number, step in enumerate(doubtful):
            for name in step.outputs if number <= last else ():
                for match in self._proven(step, name):
                    parting = self._parting(doubtful[: number + 1], step, name, match, True)
                    if self._settles_all(parting):
                        return parting
                    if first is None:
                        first, last = parting, number + _OTHERS
        if first is not None:  # several are wrong; or else one would have been enough
            return first
        for step in doubtful:  # nothing behind it comes right: what is known is the end
            for name in step.outputs:
                place = self._outputs.get(name)
                if place is not None and self.index.first.values[place].value.numel() == (
                    self.clean[name][0].numel()
                ):
                    match = next(self._as_matches(place, self.clean[name]))
                    return self._parting(doubtful, step, name, match, False)
        return None

    def _proven(self, step: Step, name: str) -> Iterator[Match]:
        """Values of the reference with which, in this one's place, something behind is right."""
        if self._could_be_replaced(name):
            known = {n for n in self.matches if self._is_right(n)}
            for match in self._trials(step, name):
                if self._rights_the_rest(name, match, known):
                    yield match

    def _settles_all(self, parting: Parting) -> bool:
        """Whether nothing is in doubt any more once a value was replaced."""
        held = (self.clean, self.made, self.matches, self.forced, self.local, self._slack)
        kept, inherited = [dict(facts) for facts in held], set(self._inherited)
        try:
            self._replace(parting.value, parting.match)
            return not self.doubtful()
        except RuntimeError:  # of a shape that something further on cannot take
            return False
        finally:
            self.clean, self.made, self.matches, self.forced, self.local, self._slack = kept
            self._inherited = inherited

    def _could_be_replaced(self, name: str) -> bool:
        values = self.clean[name]
        return (
            isinstance(values[0], torch.Tensor)
            and name not in self.forced
            and len(self.index.values(0)) == len(values)
        )

    def _parting(
        self, doubtful: list[Step], step: Step, name: str, match: Match, proven: bool
    ) -> Parting:
        made_from = self._behind([name])
        mine = tuple(s for s in doubtful if set(s.outputs) & made_from)
        error = difference(self.made[name], match.values)
        return Parting(step, name, match, error, mine, proven)

    def _trials(self, step: Step, name: str) -> Iterator[Match]:
        """Values of the reference that this one could have been, the likeliest first."""
        values = _as_declared(step, name, self.clean[name])
        before = max((self.matches[n].place for n in step.inputs if n in self.matches), default=0)
        of_size = self.index.of_size(values[0].numel())
        after = [p for p in of_size if p > before]
        places = [*after[:_TRIALS], *reversed([p for p in of_size if p <= before][-2:])]
        wanted = self._outputs.get(name)
        if wanted is not None and wanted in of_size:
            places.insert(0, wanted)
        seen: list[Tensors] = []
        for place in places:
            theirs = self.index.values(place)
            if any(theirs[0].shape == s[0].shape and torch.equal(theirs[0], s[0]) for s in seen):
                continue
            seen.append(theirs)
            yield from self._as_matches(place, values)

    def _as_matches(self, place: int, like: Tensors) -> Iterator[Match]:
        """A value of the reference as it would have to be here: in its own order, or moved."""
        straight, *moved = self.index.laid_out(place, like)
        best = min(moved, key=lambda laid: difference(like, laid), default=None)
        for laid in (straight, best):
            if laid is not None:
                typed = [a.to(b.dtype) for a, b in zip(laid, like, strict=False)]
                yield Match(place, typed, difference(like, typed), True)

    def _rights_the_rest(self, name: str, match: Match, known: set[str]) -> bool:
        """Whether something behind a value matches, once the value is the reference's."""
        if same(self.clean[name], match.values):
            return False
        values = {**self.clean, name: list(match.values)}
        slack = {name: 0.0}  # what storing constants may have done to what follows
        behind = self.behind(name)
        if not behind or name in self._outputs:
            return self._outputs.get(name) == match.place
        for step in behind[:_LOOK_AHEAD]:
            inputs = self._inputs(step, values)
            try:
                made = [step.run(given, self.known(step)) for given in inputs]
            except Exception:  # the value does not even fit
                return False
            for output in step.outputs:
                values[output] = [m[output] for m in made]
                if output not in known and self._comes_right(
                    step, output, values, inputs, made, known, slack
                ):
                    return True
        return False

    def _comes_right(
        self,
        step: Step,
        output: str,
        values: Mapping[str, list[Any]],
        inputs: list[dict[str, Any]],
        made: list[dict[str, Any]],
        known: set[str],
        slack: dict[str, float],
    ) -> bool:
        slack[output] = max((slack.get(n, 0.0) for n in step.inputs), default=0.0)
        ours = values[output]
        if not isinstance(ours[0], torch.Tensor) or not is_telling(ours):
            return False
        if output in self._outputs:  # be it only a cast
            room = SAME + slack[output]
            return self.index.compare(self._outputs[output], ours, room) is not None
        for name in step.inputs:
            given = values[name]
            if isinstance(given[0], torch.Tensor) and given[0].numel() == ours[0].numel():
                laid = [g.reshape(v.shape) for g, v in zip(given, ours, strict=True)]
                if same(ours, laid):
                    return False
        match = self.index.find(ours, SAME)
        if match is None or not match.strong:
            slack[output] += explained(step, inputs, made, self._originals_of(step))
            match = self.index.find(ours, SAME + slack[output]) if slack[output] else match
        claimed = {self.matches[name].place for name in known}
        return match is not None and match.strong and match.place not in claimed

    def _replace(self, name: str, match: Match) -> None:
        self.forced[name] = match
        self._stand_in(name)
        for step in self.behind(name):
            self._take(step)


def _as_declared(step: Step, name: str, values: Tensors) -> Tensors:
    """A value, or nothing of the declared shape where its own shape is another one."""
    shape = step.types[name].shape
    if None in shape or tuple(values[0].shape) == shape:
        return values
    return [torch.zeros([n or 0 for n in shape], dtype=value.dtype) for value in values]
