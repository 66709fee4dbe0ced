"""dvc.yaml: one generated stage for each variant, spliced into the user's own text.

The file is never written anew: a user's stages, comments and formatting stay byte for byte.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import yaml

from mlbuild.errors import LedgerError
from mlbuild.records import Json, Stage
from mlbuild.store.sections import lines_of
from mlbuild.store.yaml12 import Loader, entry

_REMEDY = "put it right by hand; mlbuild only adds its own stages to it"


class Spliced(NamedTuple):
    """The new text (None: the file is not needed any more) and what stands in it."""

    text: str | None
    dropped: tuple[str, ...]  # generated stages of this pipeline that are gone
    dropped_outs: tuple[str, ...]  # the cached outputs of those


class Found(NamedTuple):
    """One stage of dvc.yaml: its lines, and whether it was generated for the pipeline at hand."""

    start: int
    end: int
    ours: bool
    value: Json


def command(pipeline_file: str, stage: str) -> str:
    """What DVC runs to build one stage; nothing that varies stands in it."""
    return f"mlbuild run {shlex.quote(pipeline_file)} {shlex.quote(stage)} --only --no-record"


def definition(
    stage: Stage, name: str, pipeline_file: str, pins: str, deps: Collection[str]
) -> dict[str, Json]:
    """A generated stage as dvc.yaml holds it."""
    outs = sorted(stage.outputs, key=lambda o: o.path)
    found: dict[str, Json] = {"cmd": command(pipeline_file, stage.name)}
    if deps:
        found["deps"] = sorted(deps)
    found["params"] = [{pins: [f"stages.{name}"]}]
    for section, role in (("outs", "artifact"), ("metrics", "metrics"), ("plots", "plots")):
        items = [o.path if o.cache else {o.path: {"cache": False}} for o in outs if o.role == role]
        if items:
            found[section] = items
    found["meta"] = {"mlbuild": 1}
    return found


def render(name: str, value: Json, indent: int = 2) -> str:
    """A generated stage as text. DVC would fill in ``${...}``: it is escaped."""
    return entry(name, _escaped(value), indent)


def scan(text: str, pipeline_file: str) -> tuple[dict[str, Found], Any]:
    """The stages of dvc.yaml by name, and the node that holds them (None: there is none).

    Raises:
        LedgerError: not YAML, or not of a form that stages can be added to.
    """
    try:
        top = yaml.compose(text, Loader)
    except yaml.YAMLError as error:
        raise LedgerError(f"dvc.yaml cannot be read: {error}", hint=_REMEDY) from error
    if top is None:
        return {}, None
    if not isinstance(top, yaml.MappingNode):
        raise LedgerError("dvc.yaml is not a mapping", hint=_REMEDY)
    stages = next((v for k, v in top.value if k.value == "stages"), None)
    if stages is None or not stages.value:
        return {}, stages
    if not isinstance(stages, yaml.MappingNode) or stages.flow_style:
        raise LedgerError(
            "dvc.yaml: 'stages' is written in braces, so mlbuild cannot add its own to it",
            hint="write each stage as a block of its own",
        )
    start = f"mlbuild run {shlex.quote(pipeline_file)} "
    found = {}
    for key, value in stages.value:
        data = _value(value)
        ours = (
            isinstance(data, dict)
            and isinstance(data.get("meta"), dict)
            and "mlbuild" in data["meta"]
            and str(data.get("cmd", "")).startswith(start)
        )
        line = text.rfind("\n", 0, key.start_mark.index) + 1
        found[key.value] = Found(line, _end(text, value), ours, data)
    return found, stages


def splice(text: str, pipeline_file: str, wanted: Mapping[str, Json]) -> Spliced:
    """Brings the generated stages of one pipeline up to date.

    Args:
        text: dvc.yaml as it is, "" where there is none.
        pipeline_file: relative to the root.
        wanted: name -> definition of every stage that the pipeline has now.
    """
    found, node = scan(text, pipeline_file)
    if text and not text.endswith("\n"):
        text += "\n"
    indent = node.value[0][0].start_mark.column if found else 2
    gone = {name: old for name, old in found.items() if old.ours and name not in wanted}
    new = [render(name, value, indent) for name, value in wanted.items() if name not in found]
    end = max((old.end for old in found.values()), default=len(text))
    parts, position = [], 0
    for name, old in found.items():
        parts.append(text[position : old.start])
        position = old.end
        if name in wanted:
            parts.append(render(name, wanted[name], indent))
        elif name not in gone:
            parts.append(text[old.start : old.end])
    if not found and new:
        head, tail = _opened(text, node)
        return Spliced("".join([head, *new, tail]), (), ())
    body = "".join([*parts, *new])
    if found and len(gone) == len(found) and not new:
        body = _closed(body)
    result = body + text[end:] if found else text
    outs = tuple(path for old in gone.values() for path in _cached(old.value))
    return Spliced(result if result.strip() else None, tuple(gone), outs)


def _opened(text: str, node: Any) -> tuple[str, str]:
    """The text around a place where the first stages can stand."""
    if node is None:
        return f"{text}stages:\n", ""
    start = text.rindex("stages", 0, node.start_mark.index)
    end = text.find("\n", node.end_mark.index - (0 if node.value == "" else 1)) + 1
    return f"{text[:start]}stages:\n", text[end:] if end else ""


def _closed(text: str) -> str:
    """Takes the line `stages:` out: DVC does not accept it without a stage."""
    return "".join(line for line in lines_of(text) if line.rstrip() != "stages:")


def _end(text: str, node: Any) -> int:
    """Behind the last line with content: block collections end only where the next token starts."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        end = text.rfind("\n", 0, node.end_mark.index) + 1
        while text[:end].endswith("\n\n"):
            end -= 1
        return end
    newline = text.find("\n", max(node.start_mark.index, node.end_mark.index - 1))
    return newline + 1 if newline >= 0 else len(text) + 1


def _value(node: Any) -> Json:
    if isinstance(node, yaml.MappingNode):
        return {k.value if isinstance(k.value, str) else "": _value(v) for k, v in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return node.value


def _cached(value: Json) -> list[str]:
    items = [*value.get("outs", []), *value.get("plots", [])]
    return [item for item in items if isinstance(item, str)]


def _escaped(value: Json) -> Json:
    if isinstance(value, dict):
        return {_escaped(k): _escaped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", r"\${") if isinstance(value, str) else value
