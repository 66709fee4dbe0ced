"""The build tools that mlbuild is measured against: their build files and their command lines."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workflow import STAGES, Node, Tool

from mlbuild.toolchains.places import cache_dir

ROOT = Path(__file__).resolve().parents[1]
PINS = ("doit==0.37.0", "SCons==4.11.0", "snakemake==9.27.0")
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def place() -> Path:
    """Where `--install` puts the tools that are Python packages."""
    return cache_dir() / "benchmarks" / "-".join(p.replace("==", "-").lower() for p in PINS)


def install() -> None:
    """Makes that environment, once."""
    folder = place()
    if (folder / "complete").exists():
        return
    venv.create(folder, clear=True, with_pip=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", *PINS], check=True)
    (folder / "complete").touch()


def found(names: Sequence[str]) -> list[Tool]:
    """The tools of that name that there are, mlbuild first; the others are told of."""
    tools = []
    for name in ["mlbuild", *(n for n in MAKERS if n != "mlbuild")]:
        if name not in names and name != "mlbuild":
            continue
        tool = MAKERS[name]()
        if tool is None:
            print(f"{name}: not found, left out (--install makes what is a Python package)")
        else:
            print(f"{name}: {tool.version}: {' '.join(tool.command)}")
            tools.append(tool)
    return tools


def _program(name: str) -> str | None:
    """The installed one first: it has the version that is wanted."""
    own = place() / "bin" / name
    return str(own) if own.exists() else shutil.which(name)


def _version(*command: str) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = re.search(r"\d+(\.\d+)+", said)
    return known[0] if known else "unknown version"


def _mlbuild() -> Tool:
    script = shutil.which("mlbuild")
    first = (script,) if script else (sys.executable, "-m", "mlbuild")
    version = (ROOT / "pyproject.toml").read_text().partition('version = "')[2].partition('"')[0]
    os.environ["PYTHONPATH"] = str(ROOT)  # the checkout, and no installed one
    command = (*first, "run", "pipelines/layers.yaml", "-q")
    return Tool("mlbuild", command, version, write_mlbuild, 10_000)


def write_mlbuild(folder: Path, workflow: Sequence[Node]) -> None:
    """pipelines/layers.yaml, in a git repository."""
    makers = {node.out: node.name for node in workflow}
    lines = ["version: 1", "name: layers", "stages:"]
    for node in workflow:
        roles = [f"i{n}" for n in range(len(node.reads))]
        values = [f"{makers[p]}.o" if p in makers else f"./{p}" for p in node.reads]
        inputs = ", ".join(f"{r}: {v}" for r, v in zip(roles, values, strict=True))
        command = node.command.replace(node.reads[0], "${{ inputs.i0 }}", 1)
        command = command.replace(node.out, "${{ outputs.o }}")
        lines += [f"  {node.name}:", f"    run: {command}"]
        lines += [f"    inputs: {{{inputs}}}", f"    outputs: {{o: {node.out}}}"]
    (folder / "pipelines").mkdir()
    (folder / "pipelines/layers.yaml").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)


def _make() -> Tool | None:
    program = shutil.which("make")
    if program is None:
        return None
    # Without built-in rules and variables: what a careful user writes, and the fastest way.
    command = (program, "-rR", "--silent")
    return Tool("make", command, _version(program, "--version"), write_make, 10_000)


def write_make(folder: Path, workflow: Sequence[Node]) -> None:
    """A Makefile, one rule a stage."""
    outs = " ".join(node.out for node in workflow)
    rules = [f"{n.out}: {' '.join(n.reads)}\n\t{n.command}\n" for n in workflow]
    (folder / "Makefile").write_text(f"all: {outs}\n" + "".join(rules))


def _ninja() -> Tool | None:
    program = shutil.which("ninja")
    if program is None:
        return None
    command = (program, "--quiet", "-j1")
    return Tool("ninja", command, _version(program, "--version"), write_ninja, 10_000)


def write_ninja(folder: Path, workflow: Sequence[Node]) -> None:
    """build.ninja, one edge a stage."""
    edges = [f"build {n.out}: sh {' '.join(n.reads)}\n  cmd = {n.command}\n" for n in workflow]
    (folder / "build.ninja").write_text("rule sh\n  command = $cmd\n" + "".join(edges))


def _doit() -> Tool | None:
    program = _program("doit")
    if program is None:
        return None
    return Tool("doit", (program, "-v0"), _version(program, "--version"), write_doit, 10_000)


def write_doit(folder: Path, workflow: Sequence[Node]) -> None:
    """dodo.py, with doit's own checks: time stamp and size, then MD5."""
    body = f"""
def task_stage():
    for name, reads, out in stages({len(workflow)}):
        command = f"cp {{reads[0]}} {{out}} && echo {{name}} >> {{out}} && echo {{name}} >> ran.log"
        yield {{"name": name, "file_dep": reads, "targets": [out], "actions": [command]}}
"""
    (folder / "dodo.py").write_text(STAGES + body)


def _scons() -> Tool | None:
    program = _program("scons")
    if program is None:
        return None
    return Tool("SCons", (program, "-Q", "-s"), _version(program, "--version"), write_scons, 10_000)


def write_scons(folder: Path, workflow: Sequence[Node]) -> None:
    """SConstruct, with SCons's own decider: content."""
    body = f"""
import os
env = Environment(tools=[], ENV={{"PATH": os.environ["PATH"]}})
for name, reads, out in stages({len(workflow)}):
    command = f"cp {{reads[0]}} {{out}} && echo {{name}} >> {{out}} && echo {{name}} >> ran.log"
    env.Command(out, reads, command)
"""
    (folder / "SConstruct").write_text(STAGES + body)


def _snakemake() -> Tool | None:
    program = _program("snakemake")
    if program is None:
        return None
    command = (program, "--cores", "1", "--quiet", "all")
    return Tool("Snakemake", command, _version(program, "--version"), write_snakemake, 1_000)


def write_snakemake(folder: Path, workflow: Sequence[Node]) -> None:
    """A Snakefile: one rule with a wildcard."""
    body = f"""
READS = {{name: reads for name, reads, out in stages({len(workflow)})}}
rule all:
    input: [f"out/{{name}}" for name in READS]
rule stage:
    input: lambda w: READS[w.name]
    output: "out/{{name}}"
    shell: "cp {{input[0]}} {{output}} && echo {{wildcards.name}} >> {{output}}"
           " && echo {{wildcards.name}} >> ran.log"
"""
    (folder / "Snakefile").write_text(STAGES + body)


def _dvc() -> Tool | None:
    """The engine's own: mlbuild's environment has it."""
    if importlib.util.find_spec("dvc") is None:
        return None
    first = (sys.executable, "-m", "dvc")
    settle = (("bash", "build.sh"), (*first, "commit", "-f", "-q"))
    version = _version(*first, "--version")
    return Tool("DVC", (*first, "repro", "-q"), version, write_dvc, 1_000, settle)


def write_dvc(folder: Path, workflow: Sequence[Node]) -> None:
    """dvc.yaml, in a git repository; and the commands as a script, for the first state."""
    stages = {n.name: {"cmd": n.command, "deps": list(n.reads), "outs": [n.out]} for n in workflow}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
    (folder / "build.sh").write_text("set -e\n" + "".join(f"{n.command}\n" for n in workflow))
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    init = [sys.executable, "-m", "dvc", "init", "-q"]
    subprocess.run(init, cwd=folder, check=True, **_QUIET)
    analytics = [sys.executable, "-m", "dvc", "config", "core.analytics", "false"]
    subprocess.run(analytics, cwd=folder, check=True, **_QUIET)


MAKERS = {
    "mlbuild": _mlbuild,
    "make": _make,
    "ninja": _ninja,
    "doit": _doit,
    "SCons": _scons,
    "Snakemake": _snakemake,
    "DVC": _dvc,
}
