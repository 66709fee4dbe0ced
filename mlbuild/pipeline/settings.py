"""The parameters of a kind (``with``), checked by the kind's own pydantic model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlbuild.pipeline.fields import told
from mlbuild.pipeline.nodes import Entry, Mapped, Node, Sequence, shorten
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import uses_matrix
from mlbuild.records import Json

if TYPE_CHECKING:
    from mlbuild.api import Params

_QUOTED = re.compile(r"'([^']*)'|([^\s,]+)")


def settle(
    model: type[Params],
    given: Mapping[str, Json],
    node: Node,
    where: str,
    problems: Problems,
    variant: str = "",
) -> dict[str, Json]:
    """The parameters with their defaults, JSON-able; what is wrong is noted at its place.

    ``given`` are the plain values of ``with``, ``node`` is its map or what stands for it where
    there is none; ``variant`` is told with a wrong value that depends on it.
    """
    from pydantic import ValidationError  # lazy: a pipeline of commands does not need it

    try:
        # As JSON and strict: a list may become a tuple, but text never silently a number.
        settled = model.model_validate_json(json.dumps(given), strict=True)
        dumped: dict[str, Json] = settled.model_dump(mode="json")
        return dumped
    except ValidationError as error:
        for found in error.errors(include_url=False):
            _note(found, model, node, where, problems, variant)
        return {}


def _note(
    found: Any, model: type[Params], node: Node, where: str, problems: Problems, variant: str
) -> None:
    names = _names(found["loc"], node)
    at, key = _locate(node, names)
    shown = _shown(names) or "with"
    if found["type"] == "extra_forbidden":
        allowed = _siblings(model, names[:-1]) if len(names) > 1 else list(model.model_fields)
        message = f"{where}: unknown parameter '{shorten(str(names[-1]))}'"
        if len(names) > 1:
            message += f" in '{_shown(names[:-1])}'"
        problems.add(key or at, message, allowed=allowed, word=str(names[-1]))
        return
    if found["type"] == "missing":
        problems.add(at, f"{where}: parameter '{shown}' is missing", hint=_help(model, names))
        return
    allowed, rule = _rule(found)
    value = found["input"]
    got = None if isinstance(value, Mapping) and not names else told(value)
    if got and variant and uses_matrix(at):
        got += f" in {variant}"
    word = value if isinstance(value, str) else None
    hint = _help(model, names)
    message = f"{where}: parameter '{shown}' {rule}" if names else f"{where}: {rule}"
    problems.add(at, message, got=got, allowed=allowed, word=word, hint=hint)


def _names(location: tuple[str | int, ...], node: Node) -> list[str | int]:
    """The location without the names of union members, which pydantic puts in between."""
    names: list[str | int] = []
    here: Node | None = node
    for depth, part in enumerate(location):
        if isinstance(here, Mapped) and isinstance(part, str):
            inside = here.get(part)
            if inside is None and depth < len(location) - 1:
                continue
            here = inside
        elif isinstance(here, Sequence) and isinstance(part, int) and part < len(here.items):
            here = here.items[part]
        elif here is not None and depth and not isinstance(here, (Mapped, Sequence)):
            # A scalar is looked at as each member of a union; no name leads into it.
            continue
        elif isinstance(part, str) and isinstance(here, Sequence):
            continue
        names.append(part)
    return names


def _locate(node: Node, names: list[str | int]) -> tuple[Node, Node | None]:
    """The deepest node on the way, and the key of the last name if it is there."""
    key: Node | None = None
    for name in names:
        entry: Entry | None = None
        if isinstance(node, Mapped) and isinstance(name, str):
            entry = node.entries.get(name)
        if entry is not None:
            node, key = entry.value, entry.key
        elif isinstance(node, Sequence) and isinstance(name, int) and name < len(node.items):
            node, key = node.items[name], None
        else:
            return node, None
    return node, key


def _shown(names: list[str | int]) -> str:
    text = ""
    for name in names:
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text


def _rule(found: Any) -> tuple[list[str], str]:
    """What was allowed, and the rule that was broken, as the end of a sentence."""
    message = str(found["msg"])
    if found["type"] in ("literal_error", "enum"):
        expected = str(found["ctx"]["expected"])
        names = [one or other for one, other in _QUOTED.findall(expected)]
        return [name for name in names if name != "or"], "has no such value"
    if found["type"] == "value_error":
        return [], f"is wrong: {message.removeprefix('Value error, ')}"
    message = re.sub(r"^Input should( be)?( a)? valid ", "should be a ", message)
    message = re.sub(r"^Input should", "should", message)
    message = message.replace("should be a integer", "should be an integer")
    return [], message[0].lower() + message[1:]


def _siblings(model: type[Params], names: list[str | int]) -> list[str]:
    """Names that are allowed inside a nested parameter, from the model's own schema."""
    schema = model.model_json_schema()
    defs = schema.get("$defs", {})
    candidates: list[Any] = [schema]
    for name in names:
        candidates = [inner for c in candidates for inner in _step(c, name, defs)]
    return list(
        dict.fromkeys(
            n for c in candidates for r in _flat(c, defs) for n in r.get("properties", {})
        )
    )


def _flat(schema: Any, defs: Mapping[str, Any]) -> list[Any]:
    if "$ref" in schema:
        return _flat(defs[schema["$ref"].rsplit("/", 1)[-1]], defs)
    members = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    return [schema, *(flat for member in members for flat in _flat(member, defs))]


def _step(schema: Any, name: str | int, defs: Mapping[str, Any]) -> list[Any]:
    found = []
    for flat in _flat(schema, defs):
        if isinstance(name, int):
            found += [flat["items"]] if isinstance(flat.get("items"), Mapping) else []
        elif name in flat.get("properties", {}):
            found.append(flat["properties"][name])
        elif isinstance(flat.get("additionalProperties"), Mapping):
            found.append(flat["additionalProperties"])
    return found


def _help(model: type[Params], names: list[str | int]) -> str | None:
    field = model.model_fields.get(str(names[0])) if names else None
    return field.description if field is not None and field.description else None
