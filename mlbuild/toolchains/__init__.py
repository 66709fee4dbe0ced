"""Isolated environments for stages: pinned, made on first use, shared between projects.

Names are resolved on first use: a build of commands alone needs none of them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlbuild.toolchains.environments import Listed, Toolchains
    from mlbuild.toolchains.pins import Lock, Pin

__all__ = ["Listed", "Lock", "Pin", "Toolchains"]
_HOMES = {"Listed": "environments", "Toolchains": "environments", "Lock": "pins", "Pin": "pins"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # lazy: see above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
