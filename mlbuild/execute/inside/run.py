"""Runs one job and tells how it went."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from .job import VERSION, Emit, Event, Job, StageFailure, make_places, settle
from .kinds import load_run, offer_runtime
from .trace import headline, stage_traceback

_LIMIT = 4000  # characters of a message


def run_job(job: dict[str, Any], emit: Emit) -> bool:
    """Runs a job in this process; whether it succeeded.

    Args:
        job: the job as the engine writes it.
        emit: takes each event; the last one is "done" or "error".
    """
    try:
        _work(job, emit)
    except StageFailure as error:
        emit(_error("failure", error.message, error.hint))
    except SystemExit as error:
        message = f"the stage called sys.exit({error.code!r})"
        emit(_error("exception", message, traceback=stage_traceback(error)))
    except BaseException as error:  # whatever a stage raises is told, nothing is swallowed
        emit(_error("exception", headline(error), _hint(error), stage_traceback(error)))
    else:
        emit({"event": "done"})
        return True
    return False


def _work(job: Mapping[str, Any], emit: Emit) -> None:
    if job.get("version") != VERSION:
        raise StageFailure(
            f"the job has version {job.get('version')!r}, this worker knows version {VERSION}",
            hint="the job was written by another release of mlbuild: run the build again",
        )
    given = Job(job, emit)
    make_places(given)
    offer_runtime(job.get("coreml"))
    load_run(job)(given)
    settle(given)


def _hint(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "it ran out of memory: give it less to do at once, or run fewer stages with -j"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: `mlbuild gc` frees what no pipeline needs any more"
    return None


def _error(kind: str, message: str, hint: str | None = None, traceback: str | None = None) -> Event:
    return {
        "event": "error",
        "kind": kind,
        "message": message[:_LIMIT],
        "hint": hint,
        "traceback": traceback,
    }
