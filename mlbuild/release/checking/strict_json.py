"""Reads JSON that may have been written to deceive: keys twice, numbers that are none, depth."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from mlbuild.records import Json

MAX_DEPTH = 100  # what we write is ten deep; whoever compares or prints it calls itself as often
MAX_BYTES = 64 * 1024 * 1024  # of a document; a manifest of 100,000 files has 20 MB


def parse(data: bytes) -> Json:
    """The value that a JSON text means to every reader.

    Raises:
        ValueError: it means nothing, or different things to different readers; the message
            completes "manifest.json ...".
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: byte {error.start} is {data[error.start]:#04x}") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_constant, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except _DeceitError as error:
        raise ValueError(str(error)) from None
    except ValueError:  # what Python says of an integer of thousands of digits
        raise ValueError("holds a number of absurd length") from None
    if _depth(value) > MAX_DEPTH:
        raise ValueError("is nested too deeply")
    return value


class _DeceitError(ValueError):
    pass


def _depth(value: Json) -> int:
    """How deep lists and objects lie in each other; without calling itself."""
    depth, level = 0, [value]
    while level := [x for x in level if isinstance(x, (dict, list))]:
        depth += 1
        inner = (x.values() if isinstance(x, dict) else x for x in level)
        level = [item for items in inner for item in items]
    return depth


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise _DeceitError(f"has the key {json.dumps(key[:80])} twice in one object")
        found[key] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _DeceitError(f"holds a number that is too large: {text[:20]}")
    return value


def _constant(name: str) -> NoReturn:
    raise _DeceitError(f"holds {name}, which is not JSON")
