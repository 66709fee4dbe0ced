"""Names of variants, and of what lies on disk for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from mlbuild.pipeline.nodes import scalar_text
from mlbuild.records import Axes, Json

_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]")


def axes_of(values: Mapping[str, Json]) -> Axes:
    """Axes as records hold them: sorted by name; lists and maps of ``include`` name nothing."""
    named = {axis: v for axis, v in values.items() if not isinstance(v, (list, dict))}
    return tuple(sorted(named.items()))


def variant_name(base: str, axes: Axes) -> str:
    """``quantize[bits=4]``."""
    if not axes:
        return base
    return f"{base}[{','.join(f'{axis}={scalar_text(value)}' for axis, value in axes)}]"


def slug(base: str, axes: Axes) -> str:
    """A name for files: ``quantize-bits=4``; marked by a digest where characters had to go."""
    plain = base + "".join(f"-{axis}={scalar_text(value)}" for axis, value in axes)
    safe = _UNSAFE.sub("-", plain)
    return safe if safe == plain else marked(safe, variant_name(base, axes))


def marked(slug: str, name: str) -> str:
    """The slug with six hex digits that only this variant has."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{slug}-{digest[:6]}"


def camel_case(text: str) -> str:
    """``dogs-and cats`` -> ``DogsAndCats``; capitals inside a word stay."""
    words = re.findall(r"[^\W_]+", text)
    return "".join(word[0].upper() + word[1:] for word in words)
