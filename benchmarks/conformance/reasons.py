"""Why a case failed, in one line."""

from __future__ import annotations

import re

_WIDTH = 240


def reason_of(error: BaseException | None, longrepr: str) -> tuple[bool, str]:
    """Whether the runtime refused the model, and the reason.

    The runtime's own error may lie anywhere in the chain of causes, since coremltools wraps it.
    """
    from mlbuild.coreml import CoreMLError, UnsupportedError

    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, UnsupportedError):
            return True, _line(link)
    for link in chain:
        if isinstance(link, CoreMLError):
            return False, f"{type(link).__name__}: {_line(link)}"
    if error is None:
        return False, longrepr.strip().splitlines()[-1][:_WIDTH]
    return False, f"{type(error).__name__}: {_numbers(str(error)) or _line(error)}"


def _chain(error: BaseException | None):
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)[:_WIDTH]


def _numbers(text: str) -> str:
    """What numpy says of two arrays that differ, without the arrays."""
    tolerance = re.search(r"rtol=\S+ atol=\S+", text)
    if "Mismatched elements" not in text:
        if "shapes" in text and "mismatch" in text:
            return " ".join(text.split())[:_WIDTH]
        return ""
    parts = re.findall(
        r"(Mismatched elements: [^\n]+|Max (?:absolute|relative) diff\w*[^\n]+)", text
    )
    parts += [tolerance.group(0)] if tolerance else []
    return "; ".join(part.strip() for part in parts)[:_WIDTH]
