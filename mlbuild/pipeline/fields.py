"""Reads typed values out of nodes; what has another type is noted and read as absent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from mlbuild.pipeline.nodes import Mapped, Node, Scalar, Sequence, shorten
from mlbuild.pipeline.problems import Problems
from mlbuild.records import Json

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
NAME_RULE = "a name begins with a letter and goes on with letters, digits, '_' and '-'"


def check_keys(problems: Problems, node: Mapped, allowed: Collection[str], where: str) -> None:
    """Notes each key of ``node`` that is not one of ``allowed``."""
    for name, key, _ in node.pairs():
        if name not in allowed:
            hint = "merge keys are no part of YAML 1.2" if name == "<<" else None
            message = f"{where}: unknown key '{shorten(name)}'"
            problems.add(key, message, allowed=allowed, word=name, hint=hint)


def mapped(problems: Problems, node: Node | None, what: str) -> Mapped | None:
    """``node`` if it is a map."""
    if node is None or isinstance(node, Mapped):
        return node
    problems.add(node, f"{what} is a map", got=node.what)
    return None


def named(
    problems: Problems, node: Node | None, what: str, one: str
) -> Iterator[tuple[str, Scalar, Node]]:
    """The entries of a map whose keys are names."""
    section = mapped(problems, node, what)
    for name, key, value in section.pairs() if section else ():
        if NAME.fullmatch(name):
            yield name, key, value
        else:
            problems.add(key, f"'{shorten(name)}' is no name for {one}", hint=NAME_RULE)


def listed(node: Node) -> list[Node]:
    """The items of a list; anything else is a list of one."""
    return node.items if isinstance(node, Sequence) else [node]


def text(problems: Problems, value: Json, node: Node, what: str) -> str | None:
    """A string that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    hint = None
    if isinstance(value, (bool, int, float)):
        hint = f'in quotes it is text: "{value}"'
    problems.add(node, f"{what} is text", got=told(value), hint=hint)
    return None


def boolean(problems: Problems, value: Json, node: Node, what: str) -> bool | None:
    """True or false."""
    if isinstance(value, bool):
        return value
    problems.add(node, f"{what} is true or false", got=told(value))
    return None


def number(
    problems: Problems,
    value: Json,
    node: Node,
    what: str,
    *,
    whole: bool = False,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> float | None:
    """A number within limits."""
    kinds = int if whole else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool)
    if good:
        good = (least is None or value >= least) and (most is None or value <= most)
        good = good and (above is None or value > above)
    if good:
        figure: float = value
        return figure
    limits = [
        f"at least {least:g}" if least is not None else "",
        f"at most {most:g}" if most is not None else "",
        f"above {above:g}" if above is not None else "",
    ]
    rule = " and ".join(limit for limit in limits if limit)
    noun = "a whole number" if whole else "a number"
    problems.add(node, f"{what} is {noun}{', ' if rule else ''}{rule}", got=told(value))
    return None


def told(value: Json) -> str:
    """What a message says was there."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return f"'{shorten(value)}'" if isinstance(value, str) else str(value)
