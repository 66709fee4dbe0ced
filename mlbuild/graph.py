"""Builds, checks and orders the graph of stages. The only file that imports networkx."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlbuild.errors import PipelineError, Problem, UsageError, did_you_mean
from mlbuild.records import Stage, StageOutput

Edges = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Graph:
    """Stages by name, in an order in which they can run."""

    order: tuple[str, ...]
    _parents: Edges
    _children: Edges

    def parents(self, name: str) -> tuple[str, ...]:
        """The stages that must be done before ``name``: what it reads, and what it needs."""
        return self._parents[name]

    def children(self, name: str) -> tuple[str, ...]:
        """The stages that wait for ``name``."""
        return self._children[name]

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Everything that must be done before any of ``names``, without themselves."""
        return _reach(self._parents, names)

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Everything that waits for any of ``names``, however far behind."""
        return _reach(self._children, names)


def order(stages: Sequence[Stage]) -> Graph:
    """The graph of ``stages``. Where the order is free it is that of the file.

    Raises:
        PipelineError: the stages form a circle, told as ``a -> b -> a``.
    """
    parents = {stage.name: _parents_of(stage) for stage in stages}
    below: dict[str, list[str]] = {name: [] for name in parents}
    for name, above in parents.items():
        for parent in above:
            below[parent].append(name)
    children = {name: tuple(names) for name, names in below.items()}
    found = _sorted(parents, children)
    if len(found) < len(parents):
        raise _circle(stages, parents, set(parents) - set(found))
    return Graph(tuple(found), parents, children)


def select(graph: Graph, stages: Sequence[Stage], targets: Iterable[str]) -> set[str]:
    """The stages that ``targets`` name: variants, stages, or a stage for all of its variants.

    A variant's axes may come in any order; those that are left out take every value.

    Raises:
        UsageError: a target names no stage.
    """
    by_base: dict[str, list[str]] = {}
    for stage in stages:
        by_base.setdefault(stage.base, []).append(stage.name)
    chosen: set[str] = set()
    for target in targets:
        if target in by_base:
            chosen.update(by_base[target])
        elif target in graph._parents:
            chosen.add(target)
        else:
            base, picks = _picked(target)
            found = [name for name in by_base.get(base, ()) if picks and picks <= _picked(name)[1]]
            if not found:
                raise _unknown(target, by_base, graph.order)
            chosen.update(found)
    return chosen


def _picked(name: str) -> tuple[str, set[str]]:
    """The base of a variant's name, and its ``axis=value`` parts."""
    base, _, rest = name.partition("[")
    return base, {part.strip() for part in rest.removesuffix("]").split(",") if part.strip()}


def _parents_of(stage: Stage) -> tuple[str, ...]:
    read = [s.stage for i in stage.inputs for s in i.sources if isinstance(s, StageOutput)]
    return tuple(dict.fromkeys([*read, *stage.needs]))


def _sorted(parents: Edges, children: Edges) -> list[str]:
    # By hand, because importing networkx costs more than sorting ten thousand stages.
    number = {name: n for n, name in enumerate(parents)}
    names = list(parents)
    waiting = {name: len(above) for name, above in parents.items()}
    ready = [number[name] for name, count in waiting.items() if not count]
    found: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        found.append(name)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, number[child])
    return found


def _circle(stages: Sequence[Stage], parents: Edges, rest: set[str]) -> PipelineError:
    import networkx as nx  # lazy: 0.3 s of start-up, needed only to name a circle

    edges = [(parent, name) for name in parents if name in rest for parent in parents[name]]
    found = nx.find_cycle(nx.DiGraph(edges))
    names = [edge[0] for edge in found] + [found[0][0]]
    shown = names if len(names) <= 12 else [*names[:6], "...", *names[-5:]]
    first = next(stage for stage in stages if stage.name == names[0])
    return PipelineError(Problem(f"the stages form a circle: {' -> '.join(shown)}", first.place))


def _reach(edges: Edges, names: Iterable[str]) -> set[str]:
    given = set(names)
    seen: set[str] = set()
    waiting = list(given)
    while waiting:
        for name in edges[waiting.pop()]:
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return seen - given


def _unknown(target: str, by_base: Mapping[str, list[str]], order: Sequence[str]) -> UsageError:
    base = target.partition("[")[0]
    if base in by_base:
        allowed = known = by_base[base]
    else:
        allowed, known = list(by_base), [*by_base, *order]
    hint = did_you_mean(target, known)
    return UsageError(Problem(f"there is no stage '{target}'", allowed=tuple(allowed), hint=hint))
