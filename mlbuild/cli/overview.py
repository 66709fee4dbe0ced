"""`mlbuild status` of several pipelines: what each would do, who builds it, how it went last."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from mlbuild.build import Pipeline
from mlbuild.cli.pipelines import here, pipeline_files, stages_named, worst
from mlbuild.errors import MlbuildError
from mlbuild.pipeline.root import project_root
from mlbuild.report.events import line
from mlbuild.report.overview import Overview, last_build, overview_events, overview_lines
from mlbuild.store.gc.git import git
from mlbuild.store.gitignore import git_top
from mlbuild.store.lock import running
from mlbuild.store.pins import SUFFIX
from mlbuild.store.publish import slug


def overview(asked: Sequence[Path], as_json: bool) -> int:
    """Tells of the pipelines that were asked for, or of all of the project that one stands in.

    Returns:
        The exit code: what is wrong with one of them is told in its line, the others go on.
    """
    root = here()
    files = list(asked) or pipeline_files(root)
    changed = _uncommitted([project_root(file) for file in files] or [root])
    rows = [_row(file, root, changed, named=not asked) for file in files]
    if as_json:
        for event in overview_events(rows):
            click.echo(line(event))
    else:
        ledger = [_shown(path) for path in sorted(changed) if path.name.startswith("dvc.")]
        for text in overview_lines(rows, ledger):
            click.echo(text)
    return worst(row.error.exit_code for row in rows if row.error)


def _row(file: Path, root: Path, changed: set[Path], named: bool) -> Overview:
    shown = _shown(file)
    if named and not file.exists():  # known from dvc.lock alone
        return Overview(shown, gone=stages_named(root, file))
    try:
        pipeline = Pipeline.load(shown)
        planned = pipeline.plan()
    except MlbuildError as error:
        return Overview(shown, error=error)
    state = pipeline.root / ".mlbuild"
    holder = running(state / "locks").get(slug(pipeline.name))
    last = last_build(state / "logs" / "mlbuild.log", pipeline.name, holder is not None)
    pins = file.resolve().with_name(f"{file.stem}{SUFFIX}")
    return Overview(shown, pipeline.name, planned, last, holder, pins in changed)


def _uncommitted(roots: Sequence[Path]) -> set[Path]:
    """The files of the ledger that differ from what git has."""
    found: set[Path] = set()
    for root in dict.fromkeys(roots):
        top = git_top(root)
        if top is None:
            continue
        patterns = ("dvc.yaml", "dvc.lock", f"*{SUFFIX}")
        try:
            told = git(
                root, "status", "--porcelain", "-z", "-uall", "--no-renames", "--", *patterns
            )
        except MlbuildError:
            continue  # git itself will say what is wrong with it
        rows = told.decode("utf-8", "surrogateescape").split("\0")
        found |= {(top / row[3:]).resolve() for row in rows if row}
    return found


def _shown(file: Path) -> str:
    """As the caller would type it."""
    return os.path.relpath(file)
