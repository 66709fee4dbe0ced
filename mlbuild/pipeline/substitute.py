"""``${{ params.x }}`` and ``${{ matrix.x }}``.

A value that is nothing but one substitution keeps its type; inside text it is written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlbuild.errors import did_you_mean
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, Sequence, scalar_text
from mlbuild.pipeline.problems import Problems
from mlbuild.records import Json

HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_NAMES = re.compile(r"\s*([A-Za-z_][\w-]*)((?:\.[\w-]+)+)\s*")
_MATRIX = re.compile(r"\$\{\{\s*matrix\b")


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be named in one place: "params" -> its values, "matrix" -> the variant's axes."""

    values: Mapping[str, Mapping[str, Json]]
    where: str  # "stage 'train'", begins the messages
    problems: Problems
    # Names that stay as they stand, because they are known later: in commands, ("inputs",).
    later: tuple[str, ...] = ()


class _Unknown:
    """A substitution that failed and was noted."""


UNKNOWN = _Unknown()


def uses_matrix(node: Node) -> bool:
    """Whether any text below the node names a matrix axis."""
    if isinstance(node, Mapped):
        return any(uses_matrix(value) for _, _, value in node.pairs())
    if isinstance(node, Sequence):
        return any(uses_matrix(item) for item in node.items)
    assert isinstance(node, Scalar)
    value = node.value
    return isinstance(value, str) and "${{" in value and _MATRIX.search(value) is not None


def fill(node: Node, scope: Scope) -> Json:
    """The node's plain value, substituted at every depth.

    What cannot be substituted is noted and becomes ``UNKNOWN``; so does what holds it.
    """
    if isinstance(node, Mapped):
        filled = {key: fill(value, scope) for key, _, value in node.pairs()}
        return UNKNOWN if any(v is UNKNOWN for v in filled.values()) else filled
    if isinstance(node, Sequence):
        items = [fill(item, scope) for item in node.items]
        return UNKNOWN if any(v is UNKNOWN for v in items) else items
    assert isinstance(node, Scalar)
    value = node.value
    if not isinstance(value, str) or "${{" not in value:
        return value
    whole = HOLE.fullmatch(value.strip())
    if whole and "${{" not in whole[1]:
        return look_up(whole[1], node, scope)
    return fill_text(value, node, scope, _written)


def fill_text(
    text: str, node: Node, scope: Scope, write: Callable[[Json, int], str | None]
) -> Json:
    """``text`` with each substitution written by ``write(value, position)``.

    ``write`` returns None for a value that cannot stand inside text.
    """
    parts: list[str] = []
    end, failed = 0, False
    for found in HOLE.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if is_later(found[1], scope):
            parts.append(found[0])
            continue
        value = look_up(found[1], node, scope)
        written = None if value is UNKNOWN else write(value, found.start())
        if value is not UNKNOWN and written is None:
            what = "a list" if isinstance(value, list) else "a map"
            message = f"{scope.where}: {what} cannot stand inside text"
            scope.problems.add(node, message, got=found[0])
        failed |= written is None
        parts.append(written or "")
    rest = text[end:]
    if "${{" in rest:
        message = f"{scope.where}: '${{{{' without '}}}}'"
        scope.problems.add(node, message, got=rest[rest.index("${{") :][:60])
        failed = True
    return UNKNOWN if failed else "".join([*parts, rest])


def is_later(expression: str, scope: Scope) -> bool:
    """Whether the name inside ``${{ }}`` is one that only a later step knows."""
    names = _NAMES.fullmatch(expression)
    return names is not None and names[1] in scope.later


def look_up(expression: str, node: Node, scope: Scope) -> Json:
    """The value of what stands inside ``${{ }}``; notes what is unknown."""
    names = _NAMES.fullmatch(expression)
    spaces = [f"{space}.NAME" for space in (*scope.values, *scope.later)]
    if names is None:
        message = f"{scope.where}: '${{{{{expression}}}}}' is not understood"
        scope.problems.add(node, message, allowed=[f"${{{{ {s} }}}}" for s in spaces])
        return UNKNOWN
    space, path = names[1], names[2][1:].split(".")
    if space not in scope.values:
        message = f"{scope.where}: unknown name '{space}.{'.'.join(path)}'"
        hint = did_you_mean(space, [*scope.values, *scope.later]) or _SPACE_HINTS.get(space)
        scope.problems.add(node, message, allowed=spaces, hint=hint)
        return UNKNOWN
    value: Json = scope.values[space]
    for depth, name in enumerate(path):
        if not isinstance(value, Mapping) or name not in value:
            _note_missing(space, path[: depth + 1], value, node, scope)
            return UNKNOWN
        value = value[name]
        if value is UNKNOWN:
            return UNKNOWN
    return value


_SPACE_HINTS = {
    "env": "in a command it is the shell's own: $NAME",
    "secrets": "in a command it is the shell's own: $NAME",
    "matrix": "only a stage with a matrix has axes",
    "inputs": "only a command can name its inputs",
    "outputs": "only a command can name its outputs",
}


def _note_missing(space: str, path: list[str], holder: Json, node: Node, scope: Scope) -> None:
    known = list(holder) if isinstance(holder, Mapping) else []
    what = {"params": "parameter", "matrix": "matrix axis"}.get(space, "name")
    message = f"{scope.where}: unknown {what} '{'.'.join(path)}'"
    hint = None if known else f"there is nothing in '{'.'.join([space, *path[:-1]])}'"
    scope.problems.add(node, message, allowed=known, word=path[-1], hint=hint)


def _written(value: Json, position: int) -> str | None:
    return None if isinstance(value, (list, Mapping)) else scalar_text(value)
