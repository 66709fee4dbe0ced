"""In which order stages are expanded, and circles among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlbuild.pipeline.nodes import Node
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToStage

Edges = Mapping[str, Sequence[ToStage]]  # stage -> what it names


def expansion_order(edges: Edges, problems: Problems) -> list[str]:
    """Stages behind those that they name; notes each circle as ``a -> b -> a``.

    Stages on a circle come where the walk meets them: the rest of the file is still checked.
    """
    order: list[str] = []
    state: dict[str, bool] = {}  # False: being walked, True: done
    for start in edges:
        if start in state:
            continue
        path, walks = [start], [iter(edges[start])]
        state[start] = False
        while path:
            for link in walks[-1]:
                if link.stage not in edges or state.get(link.stage):
                    continue
                if link.stage in state:
                    _note_circle(path, link, problems)
                    continue
                state[link.stage] = False
                path.append(link.stage)
                walks.append(iter(edges[link.stage]))
                break
            else:
                done = path.pop()
                walks.pop()
                state[done] = True
                order.append(done)
    return order


def _note_circle(path: list[str], link: ToStage, problems: Problems) -> None:
    circle = path[path.index(link.stage) :]
    # An edge points from what is read to the reader: the walk went the other way.
    names = [link.stage, *reversed(circle)]
    shown = names if len(names) <= 12 else [*names[:6], "...", *names[-5:]]
    node: Node = link.node
    problems.add(node, f"the stages form a circle: {' -> '.join(shown)}")
