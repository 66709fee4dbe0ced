"""What only a Mac can do: refused by name elsewhere."""

from __future__ import annotations

import platform

from ..problem.problem import Problem


def needs_macos(what: str, why: str) -> None:
    """Refuse to go on where there is no macOS.

    Args:
        what: the kind, by name.
        why: what of macOS it needs.

    Raises:
        Problem: this is no Mac.
    """
    system = platform.system()
    if system != "Darwin":
        raise Problem(
            f"{what} needs {why}, which only macOS has; this is {system}",
            hint="run the stage on a Mac: a macOS runner, or a worker that has `resources: "
            "{macos: 1}`; elsewhere leave it out by `if`",
        )
