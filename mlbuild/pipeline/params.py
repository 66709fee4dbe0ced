"""The pipeline's parameters; one may be made of others, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.pipeline.fields import named
from mlbuild.pipeline.nodes import Node, plain
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill
from mlbuild.records import Json


class _Lazy(Mapping[str, Json]):
    """Parameters that are substituted when they are first asked for."""

    def __init__(self, nodes: dict[str, Node], problems: Problems) -> None:
        self.nodes, self.problems = nodes, problems
        self.done: dict[str, Json] = {}
        self.asked: list[str] = []  # a parameter that is asked for while it is made holds itself

    def __getitem__(self, name: str) -> Json:
        if name in self.done:
            return self.done[name]
        node = self.nodes[name]
        if name in self.asked:
            circle = " -> ".join([*self.asked[self.asked.index(name) :], name])
            self.problems.add(node, f"params: '{name}' is made of itself: {circle}")
            return UNKNOWN
        self.asked.append(name)
        try:
            value = fill(node, Scope({"params": self}, f"parameter '{name}'", self.problems))
        except RecursionError:
            self.problems.add(
                node, f"params: too many parameters are made of each other at '{name}'"
            )
            value = UNKNOWN
        self.asked.pop()
        self.done[name] = value
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)


def resolve_params(section: Node | None, problems: Problems) -> dict[str, Json]:
    """Name -> value; what could not be made is ``UNKNOWN``, and noted."""
    nodes = {name: node for name, _, node in named(problems, section, "'params'", "a parameter")}
    if section is not None and not any("${{" in str(plain(n)) for n in nodes.values()):
        return {name: plain(node) for name, node in nodes.items()}
    lazy = _Lazy(nodes, problems)
    return {name: lazy[name] for name in nodes}
