"""Loads a kind's ``run.py`` by path, under a synthetic package.

The folder ``stages`` becomes the package ``_mlbuild_stages``; what lies below has no
``__init__.py`` and is found by Python as namespace packages, so that ``from . import sibling`` and
``from ..._shared.topic import name`` work. A kind that asks for the reference runtime finds a
package ``mlbuild`` on which there is nothing but ``coreml``.
"""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from typing import Any

from .job import StageFailure

_ROOT = "_mlbuild_stages"
_RUNTIME = "mlbuild.coreml"


class _Source(SourceFileLoader):
    """Never takes code from a bytecode cache: one of the same second and size may be old."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Compiles what lies there now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _KindFinder:
    """Finds the modules of kinds, folders being packages without an ``__init__.py``."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """The specification of a kind's module; None for whatever is not one."""
        if path is None or not name.startswith(_ROOT + "."):
            return None
        for folder in path:
            file = os.path.join(folder, name.rpartition(".")[2] + ".py")
            if os.path.isfile(file):
                loader = _Source(name, file)
                return importlib.util.spec_from_file_location(name, file, loader=loader)
        return None


class _RuntimeFinder:
    """Finds ``mlbuild.coreml``, and nothing else of mlbuild."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """The specification of the runtime's package, if that is what is asked for."""
        if name != _RUNTIME:
            return None
        return importlib.util.spec_from_file_location(
            name,
            os.path.join(self.folder, "__init__.py"),
            submodule_search_locations=[self.folder],
        )


def offer_runtime(folder: str | None) -> None:
    """Puts ``mlbuild.coreml`` within reach, or out of it."""
    present = sys.modules.get("mlbuild")
    if present is not None and getattr(present, "__file__", None):
        return  # a real mlbuild is there already: a test, in its own process
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _RuntimeFinder)]
    if folder is None:
        _drop("mlbuild")
        return
    if present is None:
        package = types.ModuleType("mlbuild")
        package.__path__ = []
        sys.modules["mlbuild"] = package
    sys.meta_path.append(_RuntimeFinder(folder))


def load_run(job: Mapping[str, Any]) -> Callable[[Any], None]:
    """The function ``run`` of the job's kind.

    Raises:
        StageFailure: the file is not there or defines no such function.
    """
    folder = os.path.join(job["stages_root"], *job["folder"].split("/"))
    path = os.path.join(folder, job["run"])
    if not os.path.isfile(path):
        raise StageFailure(f"{path} does not exist")
    _drop(_ROOT)
    importlib.invalidate_caches()
    if _KindFinder not in sys.meta_path:
        sys.meta_path.insert(0, _KindFinder)
    root = types.ModuleType(_ROOT)
    root.__path__ = [job["stages_root"]]
    sys.modules[_ROOT] = root
    name = ".".join([_ROOT, *job["folder"].split("/"), job["run"][: -len(".py")]])
    run = getattr(importlib.import_module(name), "run", None)
    if not callable(run):
        raise StageFailure(f"{path} defines no function run(job)")
    found: Callable[[Any], None] = run
    return found


def _drop(package: str) -> None:
    for name in list(sys.modules):
        if name == package or name.startswith(package + "."):
            del sys.modules[name]
