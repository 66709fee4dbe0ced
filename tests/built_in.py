"""The built-in kinds, as the engine loads them."""

from functools import cache
from typing import Any


@cache
def _kinds() -> Any:
    from mlbuild.registry import Registry  # lazy: a toolchain's Python has no pydantic

    return Registry.load(None, trusted=True)


def kind_of(name: str) -> Any:
    """The kind of that name, or of that folder: "convert/coreml", "data/pixels"."""
    return _kinds().get(name.replace("_", "-")).kind


def names() -> list[str]:
    """All of them; none where the engine's own libraries are not there."""
    try:
        found: list[str] = _kinds().names()
    except ImportError:
        return []
    return found
