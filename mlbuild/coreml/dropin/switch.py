"""Turns coremltools' predictions by this runtime on and off.

coremltools reaches Core ML through its extension module ``libcoremlpython``, which exists in its
wheels for macOS alone, and asks what system it runs on in two places. Both are told otherwise:
a stand-in module is put into the extension's place, and the answers are changed, also in modules
that hold a copy of them because they were imported earlier. Nothing is imported for it: what is
imported later finds the changed answers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from ..body import PRECISIONS, Options
from ..errors import InputError
from . import stand_in
from .stand_in import LIBRARY, NAMES, proxies

# The newest system that coremltools 9.0 knows a specification version for.
MACOS = (26, 0)

_FLAGS, _SYSTEM = "coremltools._deps", "coremltools.models.utils"
_QUESTIONS = ("_is_macos", "_macos_version")


def enable_predict(
    *, precision: str = "declared", seed: int | None = None, on_macos: bool = False
) -> bool:
    """Make ``MLModel.predict``, states and compiled models of coremltools run by this runtime.

    Call it before importing what copies coremltools' flags (``from coremltools._deps import
    _IS_MACOS``); models that were loaded before stay without prediction. Calling it again changes
    the settings of models that are loaded from then on.

    Args:
        precision: ``declared`` or ``float32``, as for ``mlbuild.coreml.load``.
        seed: Where random operators begin.
        on_macos: Also replace Core ML itself on a Mac, where nothing is changed otherwise.

    Returns:
        Whether predictions are made by this runtime now.
    """
    if precision not in PRECISIONS:
        raise InputError("unknown precision", got=precision, allowed=PRECISIONS)
    if sys.platform == "darwin" and not on_macos:
        return False
    stand_in.options = Options(precision, seed=seed)
    if sys.modules.get(LIBRARY) is not stand_in.library:
        _displaced[LIBRARY] = sys.modules.get(LIBRARY)
        sys.modules[LIBRARY] = stand_in.library
        sys.meta_path.insert(0, _AfterImport)
        _replace_in_coremltools()
    return True


def disable_predict() -> None:
    """Give coremltools its own answers back. Models that were loaded meanwhile still predict."""
    if sys.modules.get(LIBRARY) is not stand_in.library:
        return
    library = _displaced.pop(LIBRARY, None)
    if library is None:
        del sys.modules[LIBRARY]
    else:
        sys.modules[LIBRARY] = library
    sys.meta_path.remove(_AfterImport)
    _restore_in_coremltools(library)


def _is_macos() -> bool:
    return True


def _macos_version() -> tuple[int, int]:
    return MACOS


_answers: dict[str, Callable[[], Any]] = {
    "_is_macos": _is_macos,
    "_macos_version": _macos_version,
}
_displaced: dict[str, Any] = {}  # what stood where our answers stand now, by name


class _AfterImport:
    """Changes the answers in the two modules that give them, right after their import."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module as Python itself finds it, changed once it has run; None of all others."""
        if name not in (_FLAGS, _SYSTEM):
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None or found.loader is None:
            return found
        run: Callable[[ModuleType], None] = found.loader.exec_module

        def run_and_change(module: ModuleType) -> None:
            run(module)
            _change(module)

        found.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return found


def _change(module: ModuleType) -> None:
    """Change the answers where they are defined, and keep the former ones."""
    if module.__name__ == _FLAGS:
        _displaced["_IS_MACOS"] = module._IS_MACOS
        module._IS_MACOS = True  # type: ignore[attr-defined]
    else:
        for name in _QUESTIONS:
            _displaced[name] = getattr(module, name)
            setattr(module, name, _answers[name])


def _replace_in_coremltools() -> None:
    for name in (_FLAGS, _SYSTEM):
        if name in sys.modules:
            _change(sys.modules[name])
    for module in _loaded():
        held = vars(module)
        inside = module.__name__.startswith("coremltools.")
        if inside and held.get("_IS_MACOS") is False:
            held["_IS_MACOS"] = True
        for name in _QUESTIONS:
            if name in held and held[name] is _displaced.get(name):
                held[name] = _answers[name]
        if inside:
            for name in NAMES:
                if name in held:
                    held[name] = proxies()[name]
    if (package := sys.modules.get("coremltools")) and hasattr(package, "models"):
        vars(package)["libcoremlpython"] = stand_in.library


def _restore_in_coremltools(library: Any) -> None:
    for module in _loaded():
        held = vars(module)
        inside = module.__name__.startswith("coremltools.")
        if inside and held.get("_IS_MACOS") is True and "_IS_MACOS" in _displaced:
            held["_IS_MACOS"] = _displaced["_IS_MACOS"]
        for name in _QUESTIONS:
            if held.get(name) is _answers[name] and name in _displaced:
                held[name] = _displaced[name]
        for name in NAMES:
            if inside and held.get(name) is not None:
                held[name] = getattr(library, name, None)
    package = vars(sys.modules.get("coremltools", ModuleType("")))
    if package.get("libcoremlpython") is stand_in.library:
        del package["libcoremlpython"]
        if library is not None:
            package["libcoremlpython"] = library
    _displaced.clear()


def _loaded() -> Iterator[ModuleType]:
    """Modules that may hold copies; our own keep what they define."""
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", None)
        if type(module) is ModuleType and isinstance(name, str) and name != __name__:
            yield module
