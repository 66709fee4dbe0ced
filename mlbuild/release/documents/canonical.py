"""JSON whose bytes are a function of its content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from mlbuild.records import Json


def canonical_json(value: Json) -> bytes:
    """Sorted keys, two spaces, a newline at the end; a half of a surrogate pair as an escape."""
    text = json.dumps(plain(value), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def plain(value: Json) -> Json:
    """Facts as JSON: dataclasses and mappings are objects, tuples lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
