"""Text of the form ``head / stages: / one block for each stage / tail``, block by block.

dvc.lock is read and changed without parsing what nobody asks for, and a bad
merge spoils only the stages that it touches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_TOP = re.compile(r"^stages:[ \t]*(?:\{\}[ \t]*)?(?:#.*)?$", re.M)
_KEY = re.compile(r"^  (?:'([^'\n]+)'|\"([^\"\n]+)\"|([^\s:'\"#][^:\n]*)):[ \t]*$")
_NEXT = re.compile(r"^ {0,2}(?=[^\s])", re.M)
_MARKERS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


@dataclass
class Sections:
    """The blocks, each with its key line and newline; ``broken`` tells of a bad merge."""

    head: str = ""  # up to and without the line `stages:`
    blocks: dict[str, str] = field(default_factory=dict)
    tail: str = ""
    broken: bool = False
    # What else the file says of stages: the sides of a conflict, blocks that stand there twice.
    spare: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """The whole file."""
        if not self.blocks:
            return f"{self.head}stages: {{}}\n{self.tail}"
        return f"{self.head}stages:\n{''.join(self.blocks.values())}{self.tail}"


def split(text: str) -> Sections:
    """Cuts a file into blocks; those that a merge conflict runs through are only spare ones."""
    whole, broken = _without_conflicts(text)
    found = _cut(whole)
    if broken:
        found.broken = True
        for side in sides(text):
            cut = _cut(side)
            found.spare += [*cut.blocks.items(), *cut.spare]
    return found


def replaced(text: str, blocks: Mapping[str, str]) -> str | None:
    """A file with a few of its blocks exchanged, and nothing else looked at.

    Args:
        text: as mlbuild itself wrote it.
        blocks: the new ones.

    Returns:
        None: one of them is not there exactly once, and the file must be taken apart.
    """
    for name, block in blocks.items():
        mark = f"\n{block.partition(chr(10))[0]}\n"
        start = text.find(mark) + 1
        if not start or text.find(mark, start) >= 0 or not mark.startswith(f"\n  {name}:"):
            return None
        end = _NEXT.search(text, start + len(mark) - 1)
        text = text[:start] + block + (text[end.start() :] if end else "")
    return text


def has_conflict(text: str) -> bool:
    """Whether git's markers stand in it."""
    return "\n<<<<<<<" in text or text.startswith("<<<<<<<")


def sides(text: str) -> tuple[str, str]:
    """What a file with conflict markers was on either branch."""
    ours: list[str] = []
    theirs: list[str] = []
    into = both = (ours, theirs)
    for line in lines_of(text):
        if line.startswith(_MARKERS):
            into = {"<": (ours,), "|": (), "=": (theirs,), ">": both}[line[0]]  # type: ignore[assignment]
        else:
            for side in into:
                side.append(line)
    return "".join(ours), "".join(theirs)


def _cut(text: str) -> Sections:
    top = _TOP.search(text)
    if top is None:
        return Sections(head=text)
    found = Sections(head=text[: top.start()])
    name, start, position = "", 0, top.end() + 1
    for line in lines_of(text[position:]):
        if line[0] not in " \n\r#":
            break
        match = _KEY.match(line) if line[:2] == "  " else None
        if match:
            _keep(found, name, text[start:position])
            name, start = match[1] or match[2] or match[3], position
        position += len(line)
    _keep(found, name, _ended(text[start:position]))
    found.tail = text[position:]
    return found


def _keep(found: Sections, name: str, block: str) -> None:
    if name in found.blocks:
        found.broken = True
        found.spare.append((name, found.blocks[name]))
    if name:
        found.blocks[name] = block


def lines_of(text: str) -> list[str]:
    """Lines with their ends. YAML 1.2 breaks them where `str.splitlines` sees more than that."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _ended(block: str) -> str:
    return block if block.endswith("\n") else block + "\n"


def _without_conflicts(text: str) -> tuple[str, bool]:
    """Takes conflict hunks out, and with them every block that they run through."""
    if not has_conflict(text):
        return text, False
    kept: list[str] = []
    block_start = 0  # where in `kept` the block that we are in began
    inside = dropping = side_start = False
    for line in lines_of(text):
        is_key = bool(_KEY.match(line))
        if line.startswith(_MARKERS):
            inside, side_start = not line.startswith(">>>>>>>"), True
            continue
        if inside and side_start and not is_key:
            del kept[block_start:]  # the hunk begins amid a block
        side_start = False
        if inside:
            dropping = True  # what follows the hunk up to the next key belongs to it
            continue
        if is_key or line[0] not in " \n\r#":
            dropping, block_start = False, len(kept)
        if not dropping:
            kept.append(line)
    return "".join(kept), True
