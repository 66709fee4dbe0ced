"""A pipeline's stages as a picture: text, Mermaid or Graphviz."""

from __future__ import annotations

from collections.abc import Sequence

from mlbuild.records import DatasetRef, PathRef, Source, Stage, StageOutput

FORMATS = ("text", "mermaid", "dot")


def draw(stages: Sequence[Stage], style: str) -> str:
    """The stages in processing order; `stages` must be sorted so."""
    if style == "text":
        return "\n".join(_lines(stages))
    edges = [(_origin(s), t.name) for t in stages for i in t.inputs for s in i.sources]
    edges += [(need, t.name) for t in stages for need in t.needs]
    names = list(dict.fromkeys([n for edge in edges for n in edge] + [s.name for s in stages]))
    number = {name: f"n{n}" for n, name in enumerate(names)}
    if style == "mermaid":
        lines = ["flowchart TD"]
        lines += [f'    {number[n]}["{_mermaid(n)}"]' for n in names]
        lines += [f"    {number[a]} --> {number[b]}" for a, b in dict.fromkeys(edges)]
        return "\n".join(lines)
    lines = ["digraph pipeline {", "  rankdir=LR; node [shape=box];"]
    lines += [f"  {number[n]} [label={_dot(n)}];" for n in names]
    lines += [f"  {number[a]} -> {number[b]};" for a, b in dict.fromkeys(edges)]
    return "\n".join([*lines, "}"])


def _lines(stages: Sequence[Stage]) -> list[str]:
    width = max((len(s.name) for s in stages), default=0)
    what = max((len(s.kind or "run") for s in stages), default=0)
    lines = []
    for stage in stages:
        read = list(dict.fromkeys(_origin(s) for i in stage.inputs for s in i.sources))
        behind = f"  <- {', '.join(read)}" if read else ""
        lines.append(f"{stage.name:{width}}  {stage.kind or 'run':{what}}{behind}".rstrip())
    return lines


def _origin(source: Source) -> str:
    if isinstance(source, StageOutput):
        return source.stage
    if isinstance(source, DatasetRef):
        return str(source)
    assert isinstance(source, PathRef)
    return source.path


def _mermaid(name: str) -> str:
    return name.replace('"', "#quot;").replace("[", "#91;").replace("]", "#93;")


def _dot(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
