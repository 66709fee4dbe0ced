"""The worker's command line: one job from a file, from the engine, or a fork server."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import json
import os
import sys

from .process import read_job, run_and_exit
from .run import run_job

__all__ = ["main", "run_job"]


def main(arguments: list[str]) -> None:
    """Does what the engine, or a person in ``mlbuild shell``, asked for; never returns."""
    if arguments[:1] == ["--serve"]:
        from .serve import serve  # lazy: a process of its own does not need it

        serve(int(arguments[1]), arguments[2:])
    elif len(arguments) == 4 and arguments[0] == "--job-fd" and arguments[2] == "--events-fd":
        os.set_inheritable(int(arguments[3]), False)
        run_and_exit(read_job(int(arguments[1]))["job"], int(arguments[3]))
    elif len(arguments) == 1 and not arguments[0].startswith("-"):
        with open(arguments[0], encoding="utf-8") as file:
            job = json.load(file)
        run_and_exit(job, None)
    sys.stderr.write("usage: python worker.py JOB.json\n")
    sys.exit(2)
