"""Python's search for garbage, put off while a pipeline file becomes facts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Makes many objects of which hardly any is garbage.

    The collector looks through all of them again and again as they grow in number: for ten
    thousand stages that is a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
