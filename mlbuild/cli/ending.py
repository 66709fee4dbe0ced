"""How a command ends: errors become messages and exit codes. The only catcher of `MlbuildError`."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable

from mlbuild.errors import EXIT_DATA, EXIT_INTERRUPTED, MlbuildError

# What a machine can do to any write, and no bug of ours.
_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EROFS,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
}


def ended(command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code."""
    gc.set_threshold(100_000, 20, 20)  # ten thousand stages are no garbage: looking costs 0.1 s
    try:
        return command()
    except KeyboardInterrupt:
        tell("interrupted")
        return EXIT_INTERRUPTED
    except MlbuildError as error:
        tell(error.render())
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`mlbuild status | head`): nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        tell(f"{error.filename or 'the file system'}: {error.strerror}")
        return EXIT_DATA


def tell(text: str) -> None:
    """Prints an error."""
    print(text, file=sys.stderr)  # noqa: T201 - the one place that prints errors
