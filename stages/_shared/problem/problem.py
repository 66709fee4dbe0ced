"""What a user can put right: told as one message, without a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class Problem(Exception):  # noqa: N818 - it is told as one
    """Bad data or parameters; ``hint`` says what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def told(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """Make a kind's ``run(job)`` hand every Problem to ``job.fail``."""

    @functools.wraps(run)
    def telling(job: Any) -> None:
        try:
            run(job)
        except Problem as problem:
            job.fail(str(problem), hint=problem.hint)

    return telling
