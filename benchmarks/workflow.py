"""One synthetic workflow, written down for each build tool, and how its cost is measured.

Layers of ten stages; each stage reads two outputs of the layer before, the last layer a leaf file
each as well. Every command copies a file, adds a line to the copy, and notes in ``ran.log`` that it
ran: what a tool says of itself is not believed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RAN = "ran.log"


class Node(NamedTuple):
    """One stage: what it reads (the first is copied) and what it writes."""

    name: str
    reads: tuple[str, ...]
    out: str

    @property
    def command(self) -> str:
        """What a shell is told."""
        copied, name = self.reads[0], self.name
        return f"cp {copied} {self.out} && echo {name} >> {self.out} && echo {name} >> {RAN}"


# The tools whose build files are Python get this text, and compute the stages as we do.
STAGES = """
def stages(count):
    width = 10 if count >= 20 else 2
    last = (count - 1) // width
    for number in range(count):
        layer, place = divmod(number, width)
        before = (layer - 1) * width
        if layer == 0:
            reads = [f"src/in_{place}.txt"]
        else:
            reads = [f"out/s{before + p:05d}" for p in (place, (place + 1) % width)]
        if layer == last:
            reads.insert(0, f"src/leaf_{place}.txt")
        yield f"s{number:05d}", reads, f"out/s{number:05d}"
"""


def nodes(count: int) -> list[Node]:
    """The workflow, sources first."""
    space: dict[str, Callable[[int], list[tuple[str, list[str], str]]]] = {}
    exec(STAGES, space)  # the same text that the tools get
    return [Node(name, tuple(reads), out) for name, reads, out in space["stages"](count)]


def write_sources(folder: Path, workflow: Sequence[Node]) -> None:
    """The files that no stage makes."""
    (folder / "src").mkdir(parents=True)
    (folder / "out").mkdir()
    for path in {p for node in workflow for p in node.reads if p.startswith("src/")}:
        (folder / path).write_text(f"{path}\n")


def leaf(workflow: Sequence[Node]) -> str:
    """A file that only one stage reads, and nobody reads that stage."""
    return workflow[-1].reads[0]


def ran(folder: Path) -> int:
    """How many stages have run since the last call."""
    log = folder / RAN
    count = len(log.read_bytes().splitlines()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


class Cost(NamedTuple):
    """What a process and its children took."""

    cpu: float  # seconds, user and system
    wall: float
    memory: int  # bytes, of the largest process


def cost(command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> Cost:
    """Runs a command to its end; one that fails ends the benchmark with its last words."""
    with tempfile.TemporaryFile() as said:
        began = os.times().elapsed
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = os.times().elapsed - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-2000:])
            sys.exit(f"exit code {process.returncode}: {' '.join(command)[:200]}")
    factor = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * factor)


@dataclass(frozen=True)
class Tool:
    """A build tool: how its build file is written, how it is called, how far it is taken."""

    name: str
    command: tuple[str, ...]
    version: str
    write: Callable[[Path, Sequence[Node]], None]
    most: int  # stages; more would take it too long
    # What makes the first state where building with the tool itself would take minutes.
    settle: tuple[tuple[str, ...], ...] = ()


def project(tool: Tool, folder: Path, count: int) -> list[Node]:
    """A fresh project of a tool, nothing built."""
    workflow = nodes(count)
    write_sources(folder, workflow)
    tool.write(folder, workflow)
    return workflow


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left, the others to the right."""
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
