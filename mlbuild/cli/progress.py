"""A progress line for engine work outside a build."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from mlbuild.records import Progress

_QUIET_SECONDS = 5.0


@contextmanager
def told_on(console: Console, what: str) -> Iterator[Progress]:
    """Shows progress as a spinner on a terminal, as a line now and then elsewhere."""
    if console.is_terminal:
        with console.status(escape(what)) as status:
            yield lambda done, total, text: status.update(escape(f"{what}: {text}"))
        return
    last_text, last_time = "", -_QUIET_SECONDS

    def tell(done: float, total: float | None, text: str) -> None:
        nonlocal last_text, last_time
        now = time.monotonic()
        if text != last_text and now - last_time >= _QUIET_SECONDS:
            last_text, last_time = text, now
            console.print(escape(f"{what}: {text}"), highlight=False, soft_wrap=True)

    yield tell
