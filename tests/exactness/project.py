"""The model as files: a real project on disk, whose stages tell outside of it that they ran."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.exactness.model import Code, Content, Definition, Variant, is_matrix

# Sourced by every command: shell builtins alone, so that a stage costs one process.
SHELL = """\
shopt -s globstar nullglob dotglob
digits() { digits=${1//[!0-9]/}; digits=$((10#${digits:-0})); }
value() {
  local file name text
  if [[ ! -d $1 ]]; then text=$(<"$1"); digits "$text"; value=$digits; return; fi
  value=0
  for file in "$1"/**; do
    [[ -f $file ]] || continue
    name=${file#"$1"/}; text=$(<"$file"); digits "$text"; local number=$digits; digits "$name"
    value=$((value + number * (${#name} + 10 * digits) + 7))
  done
}
make() {  # OUT SUM MODULUS FAILS_AT FOLDER INPUT...
  local out=$1 total=$2 modulus=$3 fails_at=$4 folder=$5 place=0 input
  shift 5
  echo "$out" >> LOG
  for input; do place=$((place + 1)); value "$input"; total=$((total + place * value)); done
  result=$(((total + 10 * ${E:-0}) % modulus))
  if [[ $result = "$fails_at" ]]; then echo "fails at $result" >&2; exit 1; fi
  if [[ $folder = file ]]; then printf %s $result > "$out"; return; fi
  for ((n = 0; n <= result % 3; n++)); do
    mkdir -p "$out/n$n"; printf %s $(((result + n) % modulus)) > "$out/n$n/f$n.txt"
  done
}
"""

SPEC = """\
from mlbuild.api import Field, In, Kind, Metric, Out, Params


class MixParams(Params):
    add: int = Field(%(default)d, description="Added.")
    g: int = Field(0, description="Added too.")
    k: int = Field(0, description="And this.")
    modulus: int = Field(3, description="Of the result.")


KIND = Kind(
    summary="Mixes numbers.",
    toolchain="plain",
    params=MixParams,
    inputs={
        **{role: In("Any", "A number.", optional=True) for role in "abc"},
        "every": In("Any", "More of them.", optional=True, many=True),
    },
    outputs={"o": Out("File", "o.txt", "The result.")},
    metrics={"result": Metric("The result.")},
)
"""
RUN = """\
# comment %(comment)d
import os
import re

from ..._shared.mixing.shared import SHARED


def digits(text):
    return int(re.sub("[^0-9]", "", text) or 0)


def value(path):
    if path.is_file():
        return digits(path.read_text())
    files = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
    return sum(
        digits(f.read_text()) * (len(name) + 10 * digits(name)) + 7 for name, f in files.items()
    )


def run(job):
    with open(LOG, "a") as log:
        log.write(f"{job.outputs['o']}\\n")
    found = [job.inputs.get(role) for role in ("a", "b", "c", "every")]
    paths = [p for f in found if f is not None for p in (f if isinstance(f, list) else [f])]
    total = job.params.add + job.params.g + job.params.k + 10 * int(os.environ.get("E") or 0)
    total += sum(place * value(path) for place, path in enumerate(paths, 1))
    result = (total * %(factor)d + SHARED) %% job.params.modulus
    job.metric("result", result)
    job.outputs["o"].write_text(str(result))
"""


class Tool:
    """What lies outside of the project: the shell functions and the log of what ran."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log = folder / "tool.sh", folder / "ran.log"
        self.file.write_text(SHELL.replace("LOG", str(self.log)))

    def ran(self) -> list[str]:
        """Where the stages that ran since the last call wrote."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


def write_kind(root: Path, tool: Tool, code: Code) -> None:
    """Writes the project's kind. A file whose text stays is not touched."""
    folder = root / "stages/my/mix"
    facts = {"comment": code.comment, "factor": code.factor, "default": code.default}
    for file, text in (
        (folder / "spec.py", SPEC % facts),
        (folder / "run.py", (RUN % facts).replace("LOG", repr(str(tool.log)))),
        (root / "stages/_shared/mixing/shared.py", f"SHARED = {code.shared}\n"),
        (root / "plain.txt", "# nothing but Python itself\n"),
    ):
        if not file.exists() or file.read_text() != text:
            put(file, text)


def put(path: Path, content: Content) -> None:
    """Writes a file or folder, whatever is there."""
    discard(path)
    if isinstance(content, str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return
    path.mkdir(parents=True)
    for name, text in content:
        put(path / name, text)


def discard(path: Path) -> None:
    """Removes whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def content_of(path: Path) -> Content | None:
    """What lies there, told as the model tells it; None where there is nothing."""
    if not path.is_dir():
        return path.read_text() if path.exists() else None
    files = (Path(folder, f) for folder, _, names in os.walk(path) for f in names)
    return tuple(sorted((f.relative_to(path).as_posix(), f.read_text()) for f in files))


def output_path(pipeline: str, stages: Mapping[int, Definition], variant: Variant, o: str) -> str:
    """Where a stage's output lies, as the pipeline file declares it."""
    stage = variant.of
    if stage.kind:
        slug = stage.name if variant.k is None else f"{stage.name}-k={variant.k}"
        return f"build/{pipeline}/{slug}/{'o.txt' if o == 'o' else 'metrics.json'}"
    axis = "" if variant.k is None else f"-{variant.k}"
    return f"out/{pipeline}{stage.path}{axis}/{o}"


def pipeline_text(
    pipeline: str, stages: Mapping[int, Definition], tool: Tool, g: int, seed: int
) -> str:
    """The pipeline file. The seed decides on the order of keys and on comments."""
    shuffled = random.Random(seed)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    document = {
        "version": 1,
        "name": pipeline,
        "params": {"g": g},
        "toolchains": {"plain": {"python": version, "requirements": "./plain.txt"}},
        "stages": {s.name: _stage(pipeline, stages, s, tool) for s in stages.values()},
        "profiles": {"other": {"params": {"g": 2}}},
    }
    text = yaml.safe_dump(_shuffle(document, shuffled), sort_keys=False, width=10_000)
    lines = text.splitlines()
    for n in range(seed % 3):
        # Not amid a command: what stands there belongs to it.
        places = [at for at, line in enumerate(lines) if re.match(r"( {2})?\w+:", line)]
        lines.insert(shuffled.choice(places), f"# remark {n}")
    return "\n".join(lines) + "\n"


def _shuffle(node: Any, by: random.Random) -> Any:
    if not isinstance(node, dict):
        return node
    items = list(node.items())
    by.shuffle(items)
    return {key: _shuffle(item, by) for key, item in items}


def _stage(
    pipeline: str, stages: Mapping[int, Definition], stage: Definition, tool: Tool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if stage.reads:
        found["inputs"] = {role: _reference(stages, stage, role) for role in stage.reads}
    if stage.env is not None:
        found["env"] = {"E": str(stage.env)}
    if stage.cpu != 1:
        found["resources"] = {"cpu": stage.cpu}
    if stage.matrix:
        found["matrix"] = {"k": [1, 2]}
    if not stage.kind:
        return found | _command(pipeline, stages, stage, tool)
    params: dict[str, Any] = {"modulus": stage.modulus}
    if stage.add:
        params["add"] = stage.add
    if stage.uses_global:
        params["g"] = "${{ params.g }}"
    if stage.matrix:
        params["k"] = "${{ matrix.k }}"
    return found | {"uses": "my/mix", "with": params}


def _reference(stages: Mapping[int, Definition], stage: Definition, role: str) -> Any:
    read = stage.reads[role]
    if isinstance(read.source, str):
        return f"./{read.source}"
    reference = f"{stages[read.source].name}.{read.output}"
    return {"all": reference} if read.every else reference


def _command(
    pipeline: str, stages: Mapping[int, Definition], stage: Definition, tool: Tool
) -> dict[str, Any]:
    axis = "-${{ matrix.k }}" if is_matrix(stages, stage) else ""
    paths = {"o": f"out/{pipeline}{stage.path}{axis}/o"}
    if stage.extra:
        paths["p"] = f"out/{pipeline}{stage.path}{axis}/p"
    out = paths["o"] if stage.literal else "${{ outputs.o }}"
    g = "${{ params.g }}" if stage.uses_global else "0"
    k = "${{ matrix.k }}" if stage.matrix else "0"
    words = [out, f"$(({stage.add} + {g} + {k}))", str(stage.modulus)]
    words += [str(stage.fails_at if stage.fails_at is not None else -1)]
    words += ["folder" if stage.folder else "file"]
    words += [f"${{{{ inputs.{role} }}}}" for role in stage.reads]
    lines = [f"source '{tool.file}'", f"make {' '.join(words)}"]
    if stage.extra:
        lines.append("printf %s $((result % 2)) > ${{ outputs.p }}")
    return {"run": "\n".join(lines) + "\n", "outputs": paths}
