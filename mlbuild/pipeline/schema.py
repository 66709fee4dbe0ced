"""The JSON Schema of pipeline files, for editors.

It is made of the same tables as the checks (``keys.py``) and of the kinds' own models. A copy of
the one for the built-in kinds ships beside this file; ``write_schema`` renews it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbuild.pipeline import keys
from mlbuild.pipeline.fields import NAME
from mlbuild.pipeline.kinds import Kinds, LoadedKind

SHIPPED = Path(__file__).with_name("schema.json")
_SUBSTITUTION = {"$ref": "#/$defs/substitution"}
_INSIDE = {"type": "string", "pattern": r"\$\{\{.*\}\}"}


def json_schema(registry: Kinds) -> dict[str, Any]:
    """The schema of pipeline files that use the kinds of ``registry``."""
    kinds = [registry.get(name) for name in registry.names()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlbuild pipeline",
        **_object(keys.TOP, required=("version", "stages")),
        "$defs": _definitions(kinds),
    }


def schema_text(registry: Kinds) -> str:
    """The schema as it stands in the shipped file."""
    return json.dumps(json_schema(registry), indent=1, ensure_ascii=False) + "\n"


def write_schema(registry: Kinds, file: Path = SHIPPED) -> None:
    """Renews the shipped copy."""
    file.write_text(schema_text(registry), encoding="utf-8")


def _object(rows: Mapping[str, keys.Row], required: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": False}
    found["properties"] = {name: dict(row) for name, row in rows.items()}
    if required:
        found["required"] = list(required)
    return found


def _definitions(kinds: list[LoadedKind]) -> dict[str, Any]:
    from mlbuild.api import TYPES  # lazy: pydantic, which a pipeline of commands does not need

    names = [kind.name for kind in kinds]
    number = {"anyOf": [{"type": "number"}, _SUBSTITUTION]}
    count = {"anyOf": [{"type": "integer", "minimum": 0}, _SUBSTITUTION]}
    return {
        "substitution": {
            "type": "string",
            "pattern": r"^\s*\$\{\{.*\}\}\s*$",
            "description": "A value from elsewhere: ${{ params.NAME }} or ${{ matrix.AXIS }}.",
        },
        "amount": number,
        "count": count,
        "reference": {
            "type": "string",
            "description": "STAGE.OUTPUT, STAGE[AXIS=VALUE].OUTPUT, datasets.NAME, "
            "release.ARTIFACT or ./PATH",
        },
        "type": {"enum": ["Any", *TYPES]},
        # A project may have kinds of its own, so a name that is not listed may be right.
        "kind": {
            "anyOf": [{"enum": names}, {"type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9-]+$"}]
        },
        "dataset": _dataset(),
        "toolchain": _object(keys.TOOLCHAIN, required=("python", "requirements")),
        "input": {"anyOf": [{"$ref": "#/$defs/reference"}, _input()]},
        "output": {"anyOf": [{"type": "string"}, _object(keys.OUTPUT)]},
        "matrix": _matrix(),
        "gates": _gates(),
        "gate": _object(keys.GATE),
        "release": _object(keys.RELEASE, required=("artifacts",)),
        "resources": _object(keys.RESOURCES),
        "stage": _stage(kinds),
        "profile": _profile(),
        **_parameter_definitions(kinds),
    }


def _dataset() -> dict[str, Any]:
    found = _object(keys.DATASET)
    found["oneOf"] = [
        {"required": ["path"], "not": {"required": ["git"]}},
        {"required": ["pypi"]},
        {"required": ["url"], "anyOf": [{"required": ["sha256"]}, {"required": ["md5"]}]},
        {"required": ["git", "rev"]},
        {"required": ["hf"]},
    ]
    return found


def _input() -> dict[str, Any]:
    found = _object(keys.INPUT)
    found["oneOf"] = [{"required": ["from"]}, {"required": ["all"]}]
    return found


def _matrix() -> dict[str, Any]:
    entries = {"type": "array", "items": {"type": "object", "minProperties": 1}}
    values = {"type": ["string", "number", "boolean", "null"]}
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "properties": {
            "include": {**entries, "description": "Extends combinations, or adds one."},
            "exclude": {**entries, "description": "Combinations to leave out."},
        },
        "additionalProperties": {
            "anyOf": [{"type": "array", "items": values, "minItems": 1}, _SUBSTITUTION]
        },
    }


def _gates() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "on_fail": {
                "enum": list(keys.ON_FAIL),
                "description": "exclude: only this variant is taken out of {all: ...} lists.",
            }
        },
        "additionalProperties": {"$ref": "#/$defs/gate"},
    }


def _profile() -> dict[str, Any]:
    # Parts of a file: what they hold is checked once they lie over the rest.
    allowed = [key for key in keys.TOP if key not in ("version", "name", "profiles")]
    stage = {
        "type": ["object", "null"],
        "properties": {key: {"description": row["description"]} for key, row in keys.STAGE.items()},
        "additionalProperties": False,
    }
    properties: dict[str, Any] = {
        key: {"description": keys.TOP[key]["description"]} for key in allowed
    }
    properties["stages"]["type"] = "object"
    properties["stages"]["additionalProperties"] = stage
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _stage(kinds: list[LoadedKind]) -> dict[str, Any]:
    found = _object(keys.STAGE)
    found["oneOf"] = [{"required": ["uses"]}, {"required": ["run"]}]
    found["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": kind.name}}, "required": ["uses"]},
            "then": _of_kind(kind),
        }
        for kind in kinds
    ]
    return found


def _of_kind(loaded: LoadedKind) -> dict[str, Any]:
    kind = loaded.kind
    required = [role for role, spec in kind.inputs.items() if not spec.optional]
    inputs: dict[str, Any] = {
        "properties": {
            role: {"description": f"{spec.type}. {spec.help}"} for role, spec in kind.inputs.items()
        },
    }
    if not kind.open:
        inputs["additionalProperties"] = False
    if required:
        inputs["required"] = required
    gates = {
        "properties": {
            name: {"description": metric.help}
            for name, metric in kind.metrics.items()
            if not name.endswith(".*")
        }
    }
    found: dict[str, Any] = {
        "properties": {
            "uses": {"description": kind.summary},
            "with": {"$ref": f"#/$defs/{_definition(loaded.name)}"},
            "inputs": inputs,
            "gates": gates,
        }
    }
    if required:
        found["required"] = ["inputs"]
    return found


def _definition(kind: str, inner: str = "") -> str:
    return f"with-{kind.replace('/', '-')}{'-' + inner if inner else ''}"


def _parameter_definitions(kinds: list[LoadedKind]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for loaded in kinds:
        schema = loaded.kind.params.model_json_schema()
        inner = schema.pop("$defs", {})
        found[_definition(loaded.name)] = _open(schema, loaded.name)
        for name, part in inner.items():
            found[_definition(loaded.name, name)] = _open(part, loaded.name)
    return found


def _open(schema: Any, kind: str, value: bool = False) -> Any:
    """A model's schema in which every value may be a substitution, and names are our own."""
    if isinstance(schema, list):
        return [_open(item, kind) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        inner = _definition(kind, schema["$ref"].rsplit("/", 1)[-1])
        opened: dict[str, Any] = {**schema, "$ref": f"#/$defs/{inner}"}
    else:
        opened = {}
        for key, part in schema.items():
            if key == "properties":
                opened[key] = {name: _open(inner, kind, True) for name, inner in part.items()}
            elif key in ("items", "additionalProperties"):
                opened[key] = _open(part, kind, True)
            elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
                opened[key] = _open(part, kind)
            elif key not in ("title", "discriminator"):
                opened[key] = part
    if not value:
        return opened
    kept = {key: opened.pop(key) for key in ("description", "default") if key in opened}
    # A text may hold a substitution inside: what it must look like is seen once it is filled in.
    inside = [_INSIDE] if _has_pattern(opened) else []
    return {"anyOf": [opened, *inside, _SUBSTITUTION], **kept}


def _has_pattern(schema: Mapping[str, Any]) -> bool:
    """Whether a text must look a certain way, in one of the ways that a value may be given."""
    return "pattern" in schema or any(_has_pattern(way) for way in schema.get("anyOf", ()))
