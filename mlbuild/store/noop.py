"""Writes what `mlbuild/__main__.py` reads: the record of a build that left nothing to do.

It lists everything that the plan looked at, with the stat data that belong to what was seen. If all
of it still matches, running again would do nothing and print the same.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlbuild import __version__
from mlbuild.__main__ import environment, pack, record_name, signature
from mlbuild.store.digests import Sig, wait_for_tick
from mlbuild.store.files import write_atomic
from mlbuild.store.grouping import grouped
from mlbuild.store.knowledge import limit

_MOST_RECORDS = 50


def write(
    root: Path,
    argv: Sequence[str],
    cwd: Path,
    seen: Mapping[str, Sig | None],
    text: str,
    tty: bool = False,
    still: Mapping[str, Sig | None] | None = None,
) -> bool:
    """Records that a run with these arguments found nothing to do, or left nothing to do.

    Args:
        root: the project.
        argv: the raw arguments behind the program's name, e.g. ``["run", "pipelines/a.yaml"]``.
        cwd: where the caller stood.
        seen: absolute path -> its stat data when it was read; None: it was not there.
        text: what the run prints then.
        tty: whether that text is for a terminal.
        still: what an earlier run saw and this one found unchanged; it is not looked at again.

    Returns:
        False: something changed meanwhile, so nothing was recorded.
    """
    forget_one = root / ".mlbuild" / "noop"
    with contextlib.suppress(ValueError):
        where = cwd.resolve().relative_to(root).as_posix()
        wait_for_tick(seen.values())
        if any(signature(path) != sig for path, sig in seen.items()):
            return False
        whole = {**(still or {}), **seen}
        groups = grouped(whole, str(root))
        facts = (__version__, list(argv), where, tty, environment(), groups, text)
        name = record_name(list(argv), where, tty)
        with contextlib.suppress(OSError):
            limit(forget_one, _MOST_RECORDS)
            write_atomic(forget_one / name, pack(facts), sync=False)
            return True
    return False


def forget(root: Path) -> None:
    """Drops all records: something is about to change, and may fail."""
    shutil.rmtree(root / ".mlbuild" / "noop", ignore_errors=True)
