"""A dvc.yaml that git could not merge, or that was merged badly by hand.

Generated stages are written anew by every run, so a conflict in them decides nothing. What the user
wrote is the user's to resolve.
"""

from __future__ import annotations

import re

from mlbuild.errors import LedgerError
from mlbuild.store.sections import Sections, has_conflict, sides, split

_COMMAND = re.compile(r"^ +cmd: ['\"]?mlbuild run ", re.M)


def settled(text: str) -> str:
    """dvc.yaml without conflicts through generated stages, each of which stands there once.

    Raises:
        LedgerError: something else is in conflict, or a stage of the user's stands there twice.
    """
    if has_conflict(text):
        text = _joined(*sides(text))
    found = split(text)
    twice = [name for name, block in found.spare if not _generated(block, found.blocks[name])]
    if twice:
        raise LedgerError(
            f"dvc.yaml has two stages '{twice[0]}'", hint="keep one of them, then run again"
        )
    return found.text() if found.spare else text


def _joined(ours: str, theirs: str) -> str:
    """Ours, with the generated stages that only the other side has."""
    one, two = split(ours), split(theirs)
    if _own(one) != _own(two):
        raise LedgerError(
            "dvc.yaml has a merge conflict in what is not mlbuild's",
            hint="resolve it by hand: stages with `meta: {mlbuild: 1}` may stay as on either "
            "side, the next run writes them anew",
        )
    if not one.blocks:
        return ours
    for name, block in two.blocks.items():
        one.blocks.setdefault(name, block)
    return one.text()


def _own(found: Sections) -> list[str]:
    """What of a file its user wrote."""
    return [found.head, *(b for b in found.blocks.values() if not _generated(b)), found.tail]


def _generated(*blocks: str) -> bool:
    return all(_COMMAND.search(block) and "\n      mlbuild: 1" in block for block in blocks)
