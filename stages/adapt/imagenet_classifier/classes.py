"""ImageNet's 1,000 classes by number and by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..._shared.problem.problem import Problem

DOGS = range(151, 269)  # ImageNet-1k keeps its 118 breeds together


def names() -> list[tuple[str, ...]]:
    """For each class its label and its synonyms; one line of the table is one class."""
    text = Path(__file__).with_name("imagenet_classes.tsv").read_text(encoding="utf-8")
    return [tuple(line.split("\t")) for line in text.splitlines()]


def choose(labels: str | list[int | str] | dict[str, int | str]) -> list[tuple[str, int]]:
    """Pairs of label and class number, in the order asked for.

    Raises:
        Problem: a name is unknown or means several classes, or a class is chosen twice.
    """
    table = names()
    if labels == "imagenet":
        return [(row[0], number) for number, row in enumerate(table)]
    if labels == "imagenet-dogs":
        return [(table[number][0], number) for number in DOGS]
    if isinstance(labels, dict):
        chosen = [(label, _number(choice, table)) for label, choice in labels.items()]
    else:
        numbers = [_number(choice, table) for choice in labels]
        chosen = [(table[number][0], number) for number in numbers]
    taken: dict[int, str] = {}
    for label, number in chosen:
        if number in taken:
            raise Problem(
                f"labels {taken[number]!r} and {label!r} are one class: {number} {table[number][0]}"
            )
        taken[number] = label
    return chosen


def _number(choice: int | str, table: list[tuple[str, ...]]) -> int:
    if isinstance(choice, int):
        return choice
    wanted = _plain(choice)
    own = [n for n, row in enumerate(table) if _plain(row[0]) == wanted]
    found = own or [n for n, row in enumerate(table) if wanted in map(_plain, row[1:])]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{n} {table[n][0]}" for n in found)
        raise Problem(f"ImageNet class {choice!r} means several: {several}", hint="give a number")
    every = {_plain(name): name for row in table for name in row}
    close = difflib.get_close_matches(wanted, every, n=1)
    hint = f"did you mean {every[close[0]]!r}?" if close else "give its number, 0 to 999"
    raise Problem(f"ImageNet has no class {choice!r}", hint=hint)


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()
