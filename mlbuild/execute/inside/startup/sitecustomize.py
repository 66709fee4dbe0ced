"""Run by every Python that a stage starts: notes what it reads, then makes way.

This folder is the first on PYTHONPATH there. It takes itself off ``sys.path`` again, so that the
program finds the modules that it would have found without it, and hands over to the sitecustomize
that stands behind it, if there is one. Pythons before 3.8 have no audit hooks: there it only makes
way, which is why it is written so that even Python 2 can read it.
"""

# mypy: ignore-errors
import os
import sys


def _note_reads():
    facts = os.environ.get("WATCHED_BY_MLBUILD")
    if facts and hasattr(sys, "addaudithook"):
        others = sys.dont_write_bytecode
        sys.dont_write_bytecode = False  # of this module alone, or each start compiles it again
        try:
            import mlbuild_reads
        finally:
            sys.dont_write_bytecode = others
        mlbuild_reads.begin(facts)


def _make_way():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if p != here]
    sys.path_importer_cache.pop(here, None)
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = ours  # the import that we are in looks for it


if __name__ == "sitecustomize":
    _note_reads()
    _make_way()
