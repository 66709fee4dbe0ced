"""`mlbuild run`: build what changed."""

from __future__ import annotations

from pathlib import Path

import click

from mlbuild.cli import options
from mlbuild.cli.running import Call, run


@click.command(
    "run",
    epilog="Example: mlbuild run pipelines/dogs.yaml package -j 2 --set bits=6",
    short_help="Build what changed.",
)
@options.PIPELINE
@options.TARGETS
@click.option("-j", "--jobs", type=click.IntRange(1), default=1, help="Stages at one time.")
@options.variations
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be done; do nothing.")
@click.option("--only", is_flag=True, help="Run the targets alone, not what they need.")
@click.option("--force", multiple=True, metavar="STAGE", help="Run it though nothing changed.")
@click.option("-k", "--keep-going", is_flag=True, help="Go on with what a failure leaves possible.")
@click.option("--no-pull", is_flag=True, help="Do not fetch missing data from the DVC remote.")
@click.option("--no-record", is_flag=True, help="Leave dvc.yaml and dvc.lock alone.")
@click.option("--locked", is_flag=True, help="Never run a stage: exit 4 and list what would run.")
@click.option("--offline", is_flag=True, help="Use no network.")
@click.option("--executor", type=click.Choice(["local"]), default="local", help="Where to run.")
@click.option("--strace", is_flag=True, help="See what all programs of stages read (Linux).")
@click.option("--check-reproducible", metavar="STAGE", help="Run it twice and compare the bytes.")
@options.JSON
@click.option("-q", "--quiet", is_flag=True, help="Only failures and the summary.")
@click.option("-v", "--verbose", is_flag=True, help="Also what stages log.")
def command(
    pipeline: Path,
    targets: tuple[str, ...],
    jobs: int,
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    dry_run: bool,
    only: bool,
    force: tuple[str, ...],
    keep_going: bool,
    no_pull: bool,
    no_record: bool,
    locked: bool,
    offline: bool,
    executor: str,
    strace: bool,
    check_reproducible: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Build what changed in PIPELINE, or only what the TARGETS need.

    A target is a stage (`quantize`) or one variant (`quantize[bits=4]`).
    """
    del executor  # one choice so far; the option stands so that scripts can name it
    return run(
        Call(
            str(pipeline),
            targets,
            jobs,
            sets,
            profiles,
            dry_run,
            only,
            force,
            keep_going,
            no_pull,
            no_record,
            locked,
            offline,
            strace,
            check_reproducible,
            as_json,
            verbose - quiet,
        )
    )
