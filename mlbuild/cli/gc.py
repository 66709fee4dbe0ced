"""`mlbuild gc`: what nobody needs any more, who needs the rest, and deleting the former."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlbuild.cli import options
from mlbuild.cli.pipelines import declared_outputs, here
from mlbuild.cli.progress import told_on
from mlbuild.report.events import line
from mlbuild.report.gc import freed, gc_events, gc_lines, would_free
from mlbuild.report.terminal import plain_console
from mlbuild.store.gc.collect import Findings, Request, look, undisturbed
from mlbuild.store.gc.deletion import Deleted, sweep
from mlbuild.store.gc.shared import unused
from mlbuild.toolchains.places import cache_dir


@click.command(
    "gc",
    epilog="Example: mlbuild gc --keep-days 7 --dry-run",
    short_help="Free what no checkout, branch or release needs.",
)
@click.option("-y", "--yes", is_flag=True, help="Delete it, without asking.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show it.")
@click.option(
    "--keep-days",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="N",
    help="Keep past results that were made or restored in the last N days.",
)
@click.option("--past", is_flag=True, help="Drop past results of any age: --keep-days 0.")
@click.option("--all-commits", is_flag=True, help="Keep what any commit needs, named or not.")
@click.option(
    "-p",
    "--projects",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Another project that uses the same cache; name all of them.",
)
@click.option("--shared", is_flag=True, help="No other project uses the cache, though it could.")
@click.option("--outputs", is_flag=True, help="Also unchanged results in build/ of no stage.")
@click.option("--kept", is_flag=True, help="Also files changed by hand that were set aside.")
@click.option("--toolchains", is_flag=True, help="Also toolchains that were not used as long.")
@click.option("--datasets", is_flag=True, help="Also downloads that were not used as long.")
@click.option(
    "--grace-hours",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    metavar="N",
    help="Keep whatever is newer: a build elsewhere may not have named it yet.",
)
@options.JSON
def command(
    yes: bool,
    dry_run: bool,
    keep_days: float,
    past: bool,
    all_commits: bool,
    projects: tuple[Path, ...],
    shared: bool,
    outputs: bool,
    kept: bool,
    toolchains: bool,
    datasets: bool,
    grace_hours: float,
    as_json: bool,
) -> int:
    """Free what no checkout, branch, tag or release of the project needs.

    Shows who needs what, and what would go; then asks. Where nobody can be asked, nothing is
    deleted without --yes. Remotes are never touched.
    """
    flags = {
        "--outputs": outputs,
        "--kept": kept,
        "--toolchains": toolchains,
        "--datasets": datasets,
    }
    request = Request(
        keep_days=0.0 if past else keep_days,
        grace_hours=grace_hours,
        all_commits=all_commits,
        projects=projects,
        shared=shared,
        chosen=frozenset(name for name, wanted in flags.items() if wanted),
    )
    root = here()
    found = _look(root, request)
    if not as_json:
        for text in gc_lines(found, root, request.keep_days, grace_hours):
            click.echo(text)
    done = None
    if found.anything and not dry_run and (yes or _agreed(found, as_json)):
        done = _delete(root, request, found)
    if as_json:
        for event in gc_events(found, done):
            click.echo(line(event))
    elif done:
        click.echo(freed(done))
    else:
        click.echo(would_free(found) + _remedy(found, dry_run))
    return 0


def _look(root: Path, request: Request) -> Findings:
    with told_on(plain_console(stderr=True), "looking through the cache and the branches"):
        shared = unused(root, cache_dir(), request.policy())
        return look(root, request, declared_outputs(root), shared)


def _agreed(found: Findings, as_json: bool) -> bool:
    """Whether somebody is there and says yes."""
    if as_json or not sys.stdin.isatty():
        return False
    return click.confirm(f"{would_free(found)}: delete it?")


def _delete(root: Path, request: Request, shown: Findings) -> Deleted:
    def waiting(text: str) -> None:
        click.echo(text, err=True)

    with undisturbed(shown, waiting):
        found = _look(root, request)
        with told_on(plain_console(stderr=True), "deleting") as tell:
            return sweep(found, shown, tell)


def _remedy(found: Findings, dry_run: bool) -> str:
    return (
        "" if dry_run or not found.anything else "; nothing was deleted: mlbuild gc --yes does it"
    )
