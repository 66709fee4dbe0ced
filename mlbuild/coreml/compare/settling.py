"""Where candidate and reference part: the value that puts the rest right once it is replaced.

What a walk leaves in doubt is settled by a question, asked of each value in order and of each one
of the reference that it could have been: if it were that, would something behind it be right
again? The first with which nothing is in doubt any more is the answer; where several operators are
wrong, the first with which something is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .matching import SAME, Match, Tensors, difference, is_telling, same
from .rounding import explained
from .stepping import Step
from .walk import Walk

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


def partings(walk: Walk) -> list[Parting]:
    """Where candidate and reference part, in order; empty where nothing is in doubt."""
    found: list[Parting] = []
    while len(found) < len(walk.steps.steps):
        doubtful = walk.doubtful()
        if not doubtful:
            break
        parting = _settle(walk, doubtful)
        if parting is None:
            break
        found.append(parting)
        walk.replace(parting.value, parting.match)
    return found


def _settle(walk: Walk, doubtful: list[Step]) -> Parting | None:
    """The first value that has to be replaced, seen by what comes right behind it."""
    first, last = None, len(doubtful)
    for number, step in enumerate(doubtful):
        for name in step.outputs if number <= last else ():
            for match in _proven(walk, step, name):
                parting = _parting(walk, doubtful[: number + 1], step, name, match, True)
                if _settles_all(walk, parting):
                    return parting
                if first is None:
                    first, last = parting, number + _OTHERS
    if first is not None:  # several are wrong; or else one would have been enough
        return first
    for step in doubtful:  # nothing behind it comes right: what is known is the end
        for name in step.outputs:
            place = walk.outputs().get(name)
            if place is not None and walk.index.first.values[place].value.numel() == (
                walk.clean[name][0].numel()
            ):
                match = next(_as_matches(walk, place, walk.clean[name]))
                return _parting(walk, doubtful, step, name, match, False)
    return None


def _proven(walk: Walk, step: Step, name: str) -> Iterator[Match]:
    """Values of the reference with which, in this one's place, something behind is right."""
    if _could_be_replaced(walk, name):
        known = {n for n in walk.matches if walk.is_right(n)}
        for match in _trials(walk, step, name):
            if _rights_the_rest(walk, name, match, known):
                yield match


def _settles_all(walk: Walk, parting: Parting) -> bool:
    """Whether nothing is in doubt any more once a value was replaced."""
    tried = walk.copy()
    try:
        tried.replace(parting.value, parting.match)
    except RuntimeError:  # of a shape that something further on cannot take
        return False
    return not tried.doubtful()


def _could_be_replaced(walk: Walk, name: str) -> bool:
    values = walk.clean[name]
    return (
        isinstance(values[0], torch.Tensor)
        and name not in walk.forced
        and len(walk.index.values(0)) == len(values)
    )


def _parting(
    walk: Walk, doubtful: list[Step], step: Step, name: str, match: Match, proven: bool
) -> Parting:
    made_from = walk.with_origins([name])
    mine = tuple(s for s in doubtful if set(s.outputs) & made_from)
    error = difference(walk.made[name], match.values)
    return Parting(step, name, match, error, mine, proven)


def _trials(walk: Walk, step: Step, name: str) -> Iterator[Match]:
    """Values of the reference that this one could have been, the likeliest first."""
    values = _as_declared(step, name, walk.clean[name])
    before = max((walk.matches[n].place for n in step.inputs if n in walk.matches), default=0)
    of_size = walk.index.of_size(values[0].numel())
    after = [p for p in of_size if p > before]
    places = [*after[:_TRIALS], *reversed([p for p in of_size if p <= before][-2:])]
    wanted = walk.outputs().get(name)
    if wanted is not None and wanted in of_size:
        places.insert(0, wanted)
    seen: list[Tensors] = []
    for place in places:
        theirs = walk.index.values(place)
        if any(theirs[0].shape == s[0].shape and torch.equal(theirs[0], s[0]) for s in seen):
            continue
        seen.append(theirs)
        yield from _as_matches(walk, place, values)


def _as_matches(walk: Walk, place: int, like: Tensors) -> Iterator[Match]:
    """A value of the reference as it would have to be here: in its own order, or moved."""
    straight, *moved = walk.index.laid_out(place, like)
    best = min(moved, key=lambda laid: difference(like, laid), default=None)
    for laid in (straight, best):
        if laid is not None:
            typed = [a.to(b.dtype) for a, b in zip(laid, like, strict=False)]
            yield Match(place, typed, difference(like, typed), True)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What follows of one replaced value: the values, and what storing constants did to them."""

    values: dict[str, list[Any]]
    slack: dict[str, float]


def _rights_the_rest(walk: Walk, name: str, match: Match, known: set[str]) -> bool:
    """Whether something behind a value matches, once the value is the reference's."""
    if same(walk.clean[name], match.values):
        return False
    behind = walk.behind(name)
    if not behind or name in walk.outputs():
        return walk.outputs().get(name) == match.place
    trial = _Trial({**walk.clean, name: list(match.values)}, {name: 0.0})
    for step in behind[:_LOOK_AHEAD]:
        try:
            made = [step.run(g, walk.known(step)) for g in walk.given_to(step, trial.values)]
        except Exception:  # the value does not even fit
            return False
        for output in step.outputs:
            trial.values[output] = [m[output] for m in made]
            right = _comes_right(walk, trial, step, output, made)
            if output not in known and right is not None and right not in _claimed(walk, known):
                return True
    return False


def _claimed(walk: Walk, known: set[str]) -> set[int]:
    return {walk.matches[name].place for name in known} - set(walk.outputs().values())


def _comes_right(
    walk: Walk, trial: _Trial, step: Step, output: str, made: list[dict[str, Any]]
) -> int | None:
    """Which value of the reference one is now, unless it tells nothing or was that before."""
    ours, slack = trial.values[output], trial.slack
    slack[output] = max((slack.get(n, 0.0) for n in step.inputs), default=0.0)
    if not isinstance(ours[0], torch.Tensor) or not is_telling(ours):
        return None
    if output in walk.outputs():  # be it only a cast
        place = walk.outputs()[output]
        match = walk.index.compare(place, ours, SAME + slack[output])
        return place if match is not None and match.strong else None
    if walk.changes_nothing(step, ours, trial.values):
        return None
    match = walk.index.find(ours, SAME)
    if match is None or not match.strong:
        inputs = walk.given_to(step, trial.values)
        slack[output] += explained(step, inputs, made, walk.originals_of(step))
        match = walk.index.find(ours, SAME + slack[output]) if slack[output] else match
    return match.place if match is not None and match.strong else None


def _as_declared(step: Step, name: str, values: Tensors) -> Tensors:
    """A value, or nothing of the declared shape where its own shape is another one."""
    shape = step.types[name].shape
    if None in shape or tuple(values[0].shape) == shape:
        return values
    return [torch.zeros([n or 0 for n in shape], dtype=value.dtype) for value in values]
