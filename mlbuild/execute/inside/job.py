"""What a kind's ``run(job)`` is given."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict  # noqa: UP035 - evaluated, on 3.8 too

from .metrics import estimate, number, plain_rows, share, write_json

VERSION = 1  # of the job and event format

_PROGRESS_EVERY = 0.1  # seconds; the engine's terminal is not faster
_PLOT_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PLOT_OPTIONS = "options"  # plots/options.json keeps axes, templates and titles

Event = Dict[str, Any]  # noqa: UP006
Emit = Callable[[Event], None]


class StageFailure(Exception):  # noqa: N818 - a word of the stage protocol
    """A stage says what is wrong with its data or parameters; told without a traceback."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Job:
    """One stage's work: where its inputs lie, where its outputs go, how it reports."""

    def __init__(self, facts: Mapping[str, Any], emit: Emit) -> None:
        self.stage: str = facts["stage"]
        self.params = SimpleNamespace(**facts["params"])
        self.inputs: dict[str, Any] = {
            role: [Path(p) for p in value] if isinstance(value, list) else Path(value)
            for role, value in facts["inputs"].items()
        }
        self.axes: dict[str, list[dict[str, Any]]] = dict(facts.get("axes") or {})
        self.outputs = {name: Path(path) for name, path in facts["outputs"].items()}
        self.threads: int = facts.get("threads", 1)
        self.scratch = Path(facts["scratch"])
        self._trusted = frozenset(facts.get("trust") or ())
        self._metrics_path = Path(facts["metrics"])
        self._plots_path = Path(facts["plots"]) if facts.get("plots") else None
        self._metrics: dict[str, Any] = {}
        self._plot_options: dict[str, dict[str, str]] = {}
        self._emit = emit
        self._progress_at = -_PROGRESS_EVERY

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Tells how far the work is; cheap enough to be called for each batch."""
        now = time.monotonic()
        if now - self._progress_at < _PROGRESS_EVERY and done != total:
            return
        self._progress_at = now
        count = None if total is None else number("total", total)
        self._emit(
            {
                "event": "progress",
                "done": number("done", done),
                "total": count,
                "text": str(text)[:500],
            }
        )

    def log(self, text: str) -> None:
        """A line for the log, and for the screen of a user who asked for more."""
        with suppress(OSError):  # a log that has no room is no reason to fail
            sys.stdout.write(f"{text}\n")
        self._emit({"event": "log", "text": str(text)[:2000]})

    def metric(
        self,
        name: str,
        value: Any,
        n: int | None = None,
        interval: tuple[Any, Any] | None = None,
    ) -> None:
        """Records a number; with ``n`` a share of n items, and its 95 % interval.

        With ``interval`` it is any number whose 95 % interval the stage itself has worked out.
        """
        if not name or not isinstance(name, str):
            raise ValueError(f"a metric needs a name, got {name!r}")
        if interval is not None:
            self._metrics[name] = estimate(name, value, interval, n)
        else:
            self._metrics[name] = number(name, value) if n is None else share(name, value, n)

    def plot(
        self,
        name: str,
        rows: Any,
        x: str | None = None,
        y: str | None = None,
        template: str | None = None,
        title: str | None = None,
    ) -> None:
        """Writes ``plots/<name>.json``: a list of flat rows, as ``dvc plots`` reads it."""
        if self._plots_path is None:
            raise ValueError(f"plot {name!r}: the kind's spec does not say plots=True")
        if not _PLOT_NAME.fullmatch(name) or name == _PLOT_OPTIONS:
            raise ValueError(f"{name!r} cannot name a plot: use letters, digits, '.', '_', '-'")
        self._plots_path.mkdir(parents=True, exist_ok=True)
        cells = plain_rows(name, rows, x, y)
        write_json(self._plots_path / f"{name}.json", cells, sort_keys=False)
        given = {"x": x, "y": y, "template": template, "title": title}
        options = {key: value for key, value in given.items() if value is not None}
        if options:
            self._plot_options[name] = options

    def fail(self, message: str, hint: str | None = None) -> None:
        """Ends the stage: the data or a parameter is wrong, and this is how."""
        raise StageFailure(str(message), None if hint is None else str(hint))

    def trust(self, role: str) -> bool:
        """Whether the pipeline says ``trust: true`` on that input: pickles may be loaded."""
        return role in self._trusted


def make_places(job: Job) -> None:
    """Makes the folders in which outputs will lie; the outputs themselves are the stage's."""
    job.scratch.mkdir(parents=True, exist_ok=True)
    for path in [*job.outputs.values(), job._metrics_path]:
        path.parent.mkdir(parents=True, exist_ok=True)


def settle(job: Job) -> None:
    """Checks that every output was written, then writes metrics and plot options.

    Raises:
        StageFailure: an output is missing.
    """
    for name, path in job.outputs.items():
        if not path.exists():
            raise StageFailure(
                f"output '{name}' was not written",
                hint=f"run(job) must write job.outputs[{name!r}]",
            )
    write_json(job._metrics_path, job._metrics)
    if job._plots_path is not None:
        job._plots_path.mkdir(parents=True, exist_ok=True)
        if job._plot_options:
            rows = [{"plot": name, **job._plot_options[name]} for name in sorted(job._plot_options)]
            write_json(job._plots_path / f"{_PLOT_OPTIONS}.json", rows)
