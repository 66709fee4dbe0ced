"""Stage kinds, told to people and to programs: everything comes from the spec."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from mlbuild.errors import MlbuildError
from mlbuild.records import Json
from mlbuild.registry import LoadedKind, Registry

if TYPE_CHECKING:
    from mlbuild.api import Kind

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "multipleOf": "a multiple of {}",
    "pattern": "matches {}",
}


def list_kinds(registry: Registry) -> str:
    """All kinds by verb, one line each."""
    names = registry.names()
    width = max((len(name) for name in names), default=0)
    lines: list[str] = []
    for number, name in enumerate(names):
        if number and name.split("/")[0] != names[number - 1].split("/")[0]:
            lines.append("")
        try:
            summary = registry.get(name).kind.summary
        except MlbuildError as error:
            # One broken or untrusted kind must not hide the others.
            summary = f"({error.problems[0].message})"
        origin = registry.origin(name)
        suffix = "" if origin == "built-in" else f"  [{origin}]"
        lines.append(f"{name:{width}}  {summary}{suffix}")
    lines += ["", "mlbuild stages KIND tells all about one of them."]
    return "\n".join(lines)


def describe_kind(loaded: LoadedKind) -> str:
    """Everything about one kind, with a stage that can be pasted."""
    kind = loaded.kind
    lines = [loaded.name, "", kind.summary]
    if kind.details:
        for paragraph in kind.details.strip().split("\n\n"):
            lines += ["", *textwrap.wrap(paragraph, 96)]
    lines += ["", f"toolchain: {', '.join(kind.toolchains)}{_decided(kind)}"]
    if loaded.origin != "built-in":
        lines.append(f"from: {loaded.origin}, {loaded.folder}")
    facts = kind_json(loaded)
    for title in ("inputs", "outputs", "metrics", "parameters"):
        rows = [_row(title, name, fact) for name, fact in facts[title].items()]
        if rows:
            lines += ["", title, *_table(rows)]
    indented = ["  " + line for line in snippet(loaded).splitlines()]
    return "\n".join([*lines, "", "to be pasted below 'stages:'", *indented])


def kinds_markdown(registry: Registry) -> str:
    """The reference page of all kinds."""
    lines = ["# Stage kinds", "", "Made from the specs by `mlbuild stages --markdown`.", ""]
    for name in registry.names():
        lines += _markdown(registry.get(name))
    return "\n".join(lines).rstrip() + "\n"


def kind_json(loaded: LoadedKind) -> dict[str, Json]:
    """A kind as JSON: what ``describe_kind`` prints, for programs."""
    kind = loaded.kind
    return {
        "name": loaded.name,
        "summary": kind.summary,
        "details": kind.details.strip(),
        "origin": loaded.origin,
        "toolchain": " | ".join(kind.toolchains),
        "plots": kind.plots,
        "inputs": {
            role: {"type": i.type, "optional": i.optional, "many": i.many, "help": i.help}
            for role, i in kind.inputs.items()
        },
        "outputs": {
            name: {"type": o.type, "file": o.file, "help": o.help}
            for name, o in kind.outputs.items()
        },
        "metrics": {
            name: {"unit": m.unit, "share": m.share, "better": m.better, "help": m.help}
            for name, m in kind.metrics.items()
        },
        "parameters": parameters(loaded),
        "snippet": snippet(loaded),
    }


def kinds_json(registry: Registry) -> list[Json]:
    """All kinds as JSON."""
    return [kind_json(registry.get(name)) for name in registry.names()]


def parameters(loaded: LoadedKind) -> dict[str, dict[str, Json]]:
    """Name -> type, whether it is required, default, limits and help, from the kind's model."""
    schema = loaded.kind.params.model_json_schema()
    definitions = schema.get("$defs", {})
    required = schema.get("required", ())
    found: dict[str, dict[str, Json]] = {}
    own = loaded.kind.params.__annotations__  # what it shares with other kinds comes behind
    properties = sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in own)
    for name, part in properties:
        found[name] = _fact(part, name in required, definitions)
        found |= _inner_facts(name, part, definitions, depth=2)
    return found


def _fact(
    part: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]
) -> dict[str, Json]:
    fact: dict[str, Json] = {
        "type": _type(part, definitions),
        "required": required,
        "limits": _limits(part),
        "help": part.get("description", ""),
    }
    if "default" in part:
        fact["default"] = part["default"]
    return fact


def _inner_facts(
    name: str, part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int
) -> dict[str, dict[str, Json]]:
    """The parameters inside one that is a model; a model may hold itself, hence the depth."""
    found: dict[str, dict[str, Json]] = {}
    if "discriminator" in part:
        return _choices(name, part["discriminator"], definitions, depth)
    for inner, inner_part in _nested(part, definitions).items() if depth else ():
        path = f"{name}.{inner}"
        found[path] = _fact(inner_part, False, definitions)
        found |= _inner_facts(path, inner_part, definitions, depth - 1)
    return found


def _choices(
    name: str, chosen: Mapping[str, Any], definitions: Mapping[str, Any], depth: int
) -> dict[str, dict[str, Json]]:
    """Models of which a parameter of theirs chooses one: each under what it is called."""
    found: dict[str, dict[str, Json]] = {}
    for value, reference in chosen["mapping"].items():
        model = _resolved({"$ref": reference}, definitions)
        path = f"{name}[{value}]"
        found[path] = _fact(model, False, definitions)
        inner = _inner_facts(path, model, definitions, depth)
        found |= {k: v for k, v in inner.items() if k != f"{path}.{chosen['propertyName']}"}
    return found


def snippet(loaded: LoadedKind) -> str:
    """A stage that uses the kind, as YAML; every required input and parameter stands in it."""
    from mlbuild.api import ByInput  # lazy: pydantic; whoever has a kind has paid for it

    kind = loaded.kind
    stage: dict[str, Json] = {"uses": loaded.name}
    inputs: dict[str, Json] = {}
    for role, spec in kind.inputs.items():
        if not spec.optional:
            path = f"./path/to/{role}"
            inputs[role] = {"all": path} if spec.many else path
    if isinstance(kind.toolchain, ByInput):
        role = kind.toolchain.role
        inputs[role] = {"from": f"./path/to/{role}", "type": next(iter(kind.toolchain.toolchains))}
    if inputs:
        stage["inputs"] = inputs
    settings = dict(kind.example)
    for name, fact in parameters(loaded).items():
        if fact["required"] and name not in settings:
            settings[name] = _placeholder(fact)
    if settings:
        stage["with"] = settings
    name = loaded.name.split("/")[0]
    # Through JSON, so that a tuple of the spec is a list.
    plain = json.loads(json.dumps({name: stage}))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=88)
    return text.rstrip()


def _placeholder(fact: Mapping[str, Json]) -> Json:
    kind = str(fact["type"])
    if kind.startswith("one of "):
        return kind.removeprefix("one of ").split(", ")[0]
    if kind.startswith("list"):
        return []
    return {"integer": 1, "number": 1.0, "true or false": True, "map": {}}.get(kind, "...")


def _type(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    part = _resolved(part, definitions)
    if "enum" in part or "const" in part:
        values = part.get("enum", [part.get("const")])
        return "one of " + ", ".join(_value(v) for v in values)
    members = part.get("anyOf") or part.get("oneOf")
    if members:
        return " or ".join(dict.fromkeys(_type(m, definitions) for m in members))
    kind = part.get("type")
    if kind == "array":
        items: Mapping[str, Any] = part.get("items") or next(iter(part.get("prefixItems", ())), {})
        return f"list of {_type(items, definitions)}" if items else "list"
    if kind == "object" and isinstance(part.get("additionalProperties"), Mapping):
        return f"map of {_type(part['additionalProperties'], definitions)}"
    words = {"string": "text", "boolean": "true or false", "object": "map", "null": "null"}
    return words.get(str(kind), str(kind or "any value"))


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in part:
        found: Mapping[str, Any] = definitions[part["$ref"].rsplit("/", 1)[-1]]
        return found
    return part


def _nested(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters inside a parameter that is a model, or a list or choice of models."""
    part = _resolved(part, definitions)
    found = dict(part.get("properties", {}))
    for member in [*part.get("anyOf", ()), *part.get("oneOf", ())]:
        found |= _nested(member, definitions)
    if isinstance(part.get("items"), Mapping):
        found |= _nested(part["items"], definitions)
    return found


def _limits(part: Mapping[str, Any]) -> list[str]:
    parts = [part, *part.get("anyOf", ())]
    return [text.format(one[key]) for one in parts for key, text in _LIMITS.items() if key in one]


def _value(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _row(title: str, name: str, fact: Mapping[str, Json]) -> tuple[str, str, str]:
    """Name, what it is, help."""
    if title == "inputs":
        notes = [w for w in ("many", "optional") if fact[w]]
        suffix = f" ({', '.join(notes)})" if notes else ""
        return name, fact["type"] + suffix, fact["help"]
    if title == "outputs":
        return name, f"{fact['type']}, {fact['file']}", fact["help"]
    if title == "metrics":
        what = "share" if fact["share"] else fact["unit"]
        better = {"max": "more is better", "min": "less is better"}.get(fact["better"], "")
        return name, ", ".join(w for w in (what, better) if w), fact["help"]
    words = [fact["type"], *fact["limits"]]
    if fact["required"]:
        words.append("required")
    elif "default" in fact:
        words.append(f"default {_default(fact['default'])}")
    return name, ", ".join(words), fact["help"]


def _default(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    name_width = min(28, max(len(name) for name, _, _ in rows))
    what_width = max((len(what) for _, what, _ in rows if len(what) <= 48), default=0)
    lines = []
    for name, what, text in rows:
        line = f"  {name:{name_width}}  {what:{what_width}}"
        if len(what) > what_width and text:
            lines += [line.rstrip(), " " * (name_width + what_width + 6) + text]
        else:
            lines.append(f"{line}  {text}".rstrip())
    return lines


def _decided(kind: Kind) -> str:
    if isinstance(kind.toolchain, str):
        return ""
    return f", by the type of input '{kind.toolchain.role}'"


def _markdown(loaded: LoadedKind) -> list[str]:
    kind = loaded.kind
    lines = [f"## {loaded.name}", "", kind.summary, ""]
    if kind.details:
        lines += [kind.details.strip(), ""]
    names = ", ".join(f"`{name}`" for name in kind.toolchains)
    lines += [f"Toolchain: {names}{_decided(kind)}.", ""]
    facts = kind_json(loaded)
    for title in ("inputs", "outputs", "metrics", "parameters"):
        rows = [_row(title, name, fact) for name, fact in facts[title].items()]
        if rows:
            lines += [f"| {title} | | |", "| --- | --- | --- |"]
            lines += [f"| `{name}` | {_cell(what)} | {_cell(text)} |" for name, what, text in rows]
            lines.append("")
    return [*lines, "```yaml", snippet(loaded), "```", ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
