"""Tracebacks that show a stage's own code, not ours."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import importlib
import os
import re
import traceback
from collections.abc import Iterator

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_WORKER = os.path.join(os.path.dirname(os.path.dirname(_OURS)), "worker.py")
_BARE_HEADER = re.compile(r"^Traceback \(most recent call last\):\n(?! )", re.MULTILINE)
_LIMIT = 20000  # characters; recursion errors are long


def stage_traceback(error: BaseException) -> str:
    """The traceback of an error without the worker's frames, causes included."""
    shown = traceback.TracebackException.from_exception(error)
    for part in _chain(shown, set()):
        part.stack[:] = [f for f in part.stack if not _ours(f.filename)]
    text = _BARE_HEADER.sub("", "".join(shown.format())).rstrip("\n")
    return text if len(text) <= _LIMIT else text[: _LIMIT // 2] + "\n...\n" + text[-_LIMIT // 2 :]


def headline(error: BaseException) -> str:
    """The error's last line, as Python prints it."""
    return "".join(traceback.format_exception_only(type(error), error)).strip().split("\n")[-1]


def _ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib")) or file in (_WORKER, importlib.__file__)


def _chain(
    part: traceback.TracebackException | None, seen: set[int]
) -> Iterator[traceback.TracebackException]:
    if part is None or id(part) in seen:
        return
    seen.add(id(part))
    yield part
    yield from _chain(part.__cause__, seen)
    yield from _chain(part.__context__, seen)
    for inner in getattr(part, "exceptions", None) or ():
        yield from _chain(inner, seen)
