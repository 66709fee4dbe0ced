"""The worker: runs one job of a stage kind in the toolchain's own interpreter.

Standard library only, Python 3.8 and later, never through ``mlbuild/__init__.py``::

    python worker.py job.json                          by hand, events on standard output
    python worker.py --job-fd 5 --events-fd 6          by the engine, a process of its own
    python worker.py --serve 5 [MODULE ...]            by the engine, a fork server

Its parts lie in ``inside/``; they are imported under the synthetic package ``_mlbuild_inside``.
"""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # this folder holds a queue.py, which must not stand in for Python's own

# Only from here on is it Python's own modules that are found.
import importlib
import os
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlbuild.execute.inside.main import main, run_job

__all__ = ["main", "run_job"]

_PACKAGE = "_mlbuild_inside"


def _inside() -> types.ModuleType:
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")]
        sys.modules[_PACKAGE] = package
    return importlib.import_module(_PACKAGE + ".main")


if not TYPE_CHECKING:
    run_job = _inside().run_job
    main = _inside().main

if __name__ == "__main__":
    main(sys.argv[1:])
