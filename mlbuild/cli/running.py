"""What `mlbuild run` does once its arguments are understood.

Calls are remembered by their raw arguments: the same call again, after a change, needs no parser
(``again.py``). Neither click nor rich is imported here.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mlbuild import __version__
from mlbuild.__main__ import record_name
from mlbuild.build import Pipeline, RunOptions
from mlbuild.cli import again
from mlbuild.errors import EXIT_DATA
from mlbuild.records import BuildResult, Decision, Listener, Stage
from mlbuild.report.screen import Plain, drawn, standard_output
from mlbuild.report.text import Text
from mlbuild.store import knowledge
from mlbuild.store.pins import Variation, built_for


class Call(NamedTuple):
    """The arguments of `mlbuild run`."""

    pipeline: str
    targets: tuple[str, ...]
    jobs: int
    sets: tuple[str, ...]
    profiles: tuple[str, ...]
    dry_run: bool
    only: bool
    force: tuple[str, ...]
    keep_going: bool
    no_pull: bool
    no_record: bool
    locked: bool
    offline: bool
    strace: bool
    check_reproducible: str | None
    as_json: bool
    level: int  # -1 quiet, 1 verbose

    def options(self) -> RunOptions:
        """As the engine takes them."""
        return RunOptions(
            targets=self.targets,
            jobs=self.jobs,
            only=self.only,
            force=self.force,
            keep_going=self.keep_going,
            pull=not self.no_pull,
            record=not self.no_record,
            locked=self.locked,
            offline=self.offline,
            strace=self.strace,
            # The no-op path knows a build by the arguments that led to it.
            arguments=tuple(sys.argv[1:]),
            caller=Path.cwd(),
            tty=_on_terminal(),
            told_again=partial(_told_again, self.as_json, _on_terminal(), self.level),
        )


def run(call: Call) -> int:
    """Builds, or tells what would be built; returns the exit code."""
    profiles, sets = call.profiles, call.sets
    if call.no_record and not (profiles or sets):
        profiles, sets = _as_built(Path(call.pipeline))
    loaded = Pipeline.load(Path(call.pipeline), profiles=profiles, sets=sets)
    chosen = call.options()
    if call.dry_run:
        return _dry_run(loaded, chosen, call.as_json)
    listener: Listener = Text(standard_output(), level=call.level)
    if call.as_json:
        listener = _json_lines(lambda text: print(text, flush=True))  # noqa: T201
    if call.check_reproducible:
        from mlbuild import reproducible  # lazy: rarely asked for

        return reproducible.check(loaded, call.check_reproducible, chosen, listener).exit_code
    _remember(call, loaded.root)
    return loaded.run(chosen, listener).exit_code


def _remember(call: Call, root: Path) -> None:
    argv, cwd = sys.argv[1:], Path.cwd().resolve()
    if argv[:1] != ["run"] or not cwd.is_relative_to(root):
        return
    where = cwd.relative_to(root).as_posix()
    file = root / again.FOLDER / record_name(argv, where, _on_terminal())
    if not file.exists():
        knowledge.keep(file, (__version__, tuple(argv), *call))


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _dry_run(loaded: Pipeline, chosen: RunOptions, as_json: bool) -> int:
    # Lazy: a build needs neither.
    from mlbuild.report.events import line, plan_events, status_event
    from mlbuild.report.plan import print_plan
    from mlbuild.report.terminal import plain_console

    planned = loaded.plan(chosen)
    if as_json:
        for event in [*plan_events(planned), status_event(loaded.name, planned)]:
            print(line(event))  # noqa: T201
    else:
        print_plan(plain_console(), loaded.name, planned)
    stale = any(p.decision in (Decision.RUN, Decision.PENDING) for p in planned)
    return EXIT_DATA if chosen.locked and stale else 0


def _as_built(pipeline: Path) -> Variation:
    """The profiles and values of the last build, where `dvc repro` rebuilds a stage of it.

    The stage's command in dvc.yaml names none; without them DVC would put something else in place
    of what it found stale.
    """
    stage = os.environ.get("DVC_STAGE")
    built = built_for(pipeline, stage) if stage else Variation()
    if any(built):
        print(f"as built last: {shlex.join(built.arguments())}", file=sys.stderr)  # noqa: T201
    return built


def _json_lines(write: object) -> Listener:
    from mlbuild.report.events import JsonLines  # lazy: only with --json

    return JsonLines(write)  # type: ignore[arg-type]


def _told_again(
    as_json: bool, tty: bool, level: int, stages: Sequence[Stage], result: BuildResult
) -> str:
    """What the same command prints if it finds nothing changed."""
    out = io.StringIO()
    listener: Listener = Text(drawn(out) if tty else Plain(out), level)
    if as_json:
        listener = _json_lines(lambda text: out.write(text + "\n"))
    listener.began(result.pipeline, stages, 0)
    for stage in result.stages:
        listener.ended(stage)
    listener.finished(result)
    return out.getvalue()
