"""Modules that are imported when they are first used: start-up time is a feature.

Write it so that type checkers see a plain import::

    if TYPE_CHECKING:
        import yaml
    else:
        yaml = lazily("yaml")
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def lazily(name: str) -> Any:
    """A stand-in for a module; the first attribute that is asked for imports it."""
    return sys.modules.get(name) or _Later(name)


class _Later(ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        found = getattr(import_module(self.__name__), attribute)
        self.__dict__[attribute] = found
        return found
