"""dvc.yaml: one generated stage for each variant, spliced into the user's own text.

The file is never written anew: a user's stages, comments and formatting stay byte for byte.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mlbuild.errors import LedgerError
from mlbuild.lazily import lazily
from mlbuild.records import Json, Output, Stage
from mlbuild.store.sections import lines_of
from mlbuild.store.yaml12 import compose, entry

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazily("yaml")  # 35 ms

_COMMAND_END = " --only --no-record"
_REMEDY = "put it right by hand; mlbuild only adds its own stages to it"


class Spliced(NamedTuple):
    """The new text (None: the file is not needed any more) and what stands in it."""

    text: str | None
    dropped: tuple[str, ...]  # generated stages of this pipeline that are gone
    dropped_outs: tuple[str, ...]  # outputs that DVC cached for this pipeline and does no more


class Found(NamedTuple):
    """One stage of dvc.yaml: its lines, and whether it was generated for the pipeline at hand."""

    start: int
    end: int
    ours: bool
    value: Json


def command(pipeline_file: str, stage: str) -> str:
    """What DVC runs to build one stage; nothing that varies stands in it."""
    return f"mlbuild run {shlex.quote(pipeline_file)} {shlex.quote(stage)}{_COMMAND_END}"


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
        items = [_item(o) for o in outs if o.role == role]
        if items:
            found[section] = items
    found["meta"] = {"mlbuild": 1}
    return found


def _item(out: Output) -> Json:
    """An output with DVC's flags for it, in DVC's order."""
    flags = {"cache": out.cache, "push": out.push}
    off = {flag: False for flag, on in flags.items() if not on}
    return {out.path: off} if off else out.path


def render(name: str, value: Json, indent: int = 2) -> str:
    """A generated stage as text. DVC would fill in ``${...}``: it is escaped."""
    return entry(name, _escaped(value), indent)


def scan(text: str, pipeline_file: str) -> tuple[dict[str, Found], Any]:
    """The stages of dvc.yaml by name, and the node that holds them (None: there is none).

    Raises:
        LedgerError: not YAML, or not of a form that stages can be added to.
    """
    try:
        top = compose(text)
    except yaml.YAMLError as error:
        raise LedgerError(f"dvc.yaml cannot be read: {_flat(error)}", hint=_REMEDY) from error
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
        _refuse_half(key, data, start)
        ours = (
            isinstance(data, dict)
            and isinstance(data.get("meta"), dict)
            and "mlbuild" in data["meta"]
            and str(data.get("cmd", "")).startswith(start)
        )
        line = text.rfind("\n", 0, key.start_mark.index) + 1
        found[key.value] = Found(line, _end(text, value), ours, data)
    return found, stages


def _refuse_half(key: Any, stage: Json, start: str) -> None:
    """An editor that was killed leaves a file that ends amid a stage, and is YAML all the same."""
    body = stage.get("do", stage) if isinstance(stage, dict) else {}
    cmd = body.get("cmd") if isinstance(body, dict) else None
    ended = isinstance(cmd, (str, list)) and bool(cmd)
    if isinstance(cmd, str) and cmd and (start.startswith(cmd) or cmd.startswith(start)):
        ended = cmd.endswith(_COMMAND_END)  # what we generate is known to its last word
    if not ended:
        raise LedgerError(
            f"dvc.yaml:{key.start_mark.line + 1}: stage '{key.value}' ends in the middle: "
            "the file was cut off",
            hint="put the committed one back (git checkout -- dvc.yaml); mlbuild writes its own "
            "stages anew",
        )


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
    outs = _dropped(found, wanted)
    return Spliced(result if result.strip() else None, tuple(gone), outs)


def _dropped(found: Mapping[str, Found], wanted: Mapping[str, Json]) -> tuple[str, ...]:
    """What our stages cached before and neither they nor others do now."""
    old = [path for stage in found.values() if stage.ours for path in _cached(stage.value)]
    others = [stage.value for name, stage in found.items() if not stage.ours]
    kept = {path for value in (*wanted.values(), *others) for path in _cached(value)}
    return tuple(path for path in dict.fromkeys(old) if path not in kept)


def _flat(error: yaml.YAMLError) -> str:
    """The error in one line, with its place."""
    return " ".join(str(error).split())


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
    if not isinstance(value, dict):
        return []
    """The paths of the outputs that are kept out of git."""
    items = [item for key in ("outs", "metrics", "plots") for item in value.get(key) or []]
    flags = [{item: {}} if isinstance(item, str) else item for item in items]
    rows = [(path, flag) for item in flags if isinstance(item, dict) for path, flag in item.items()]
    cached = [p for p, flag in rows if (flag or {}).get("cache") not in (False, "false")]
    return [path.replace(r"\${", "${") for path in cached]


def _escaped(value: Json) -> Json:
    if isinstance(value, dict):
        return {_escaped(k): _escaped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", r"\${") if isinstance(value, str) else value
