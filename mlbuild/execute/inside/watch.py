"""Has this process note which files of the project it opens."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import os
import sys

from .startup.mlbuild_reads import VARIABLE, begin


def watch() -> None:
    """Begins, where the engine asks for it; to be called once, by the process of a stage.

    A process of its own began as it started, by `startup/sitecustomize.py`. A forked one has its
    stage's environment only now. What it starts in turn begins by itself in either case.
    """
    facts = os.environ.get(VARIABLE)
    if facts and "mlbuild_reads" not in sys.modules:
        begin(facts)
