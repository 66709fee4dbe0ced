"""The `mlbuild` command: finds the verb and runs it. Verbs are imported when they are called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from mlbuild import __version__
from mlbuild.cli.ending import ended, tell
from mlbuild.errors import EXIT_INTERRUPTED, EXIT_PIPELINE, did_you_mean

# verb -> one line of help; the verb's code is mlbuild/cli/<verb>.py, its command `command`.
VERBS = {
    "run": "Build what changed.",
    "status": "Tell what a run would do, and why.",
    "explain": "Show what of a stage's key changed.",
    "graph": "Draw the pipeline's stages.",
    "report": "Show what stands of a pipeline or model, beside how it was before.",
    "logs": "Show a stage's log.",
    "shell": "Open a shell in a stage's toolchain with its job at hand.",
    "predict": "Run a Core ML model on inputs, on any system.",
    "compare": "Find the operator at which a converted model parts from its source.",
    "lint": "Find what is wrong with a Core ML model, or soon will be.",
    "inspect": "Show what is inside a Core ML model.",
    "golden": "Record what Core ML answers on a Mac; check it anywhere.",
    "release": "Release what HEAD holds: gates, version, folder, tag.",
    "push": "Send results and datasets to the team's remote.",
    "pull": "Bring results and datasets from the team's remote.",
    "verify": "Hold artifacts against the ledger: whose results, and intact?",
    "init": "Start a new project with a first pipeline.",
    "stages": "List the stage kinds, or describe one.",
    "toolchains": "List, make, verify or remove toolchains.",
    "schema": "Print the JSON Schema of pipeline files.",
    "doctor": "Tell what is missing on this machine and what to type.",
    "gc": "Free what no checkout, branch or release needs.",
    "trust": "Accept the stage kinds of a project.",
}


class Verbs(click.Group):
    """A group that imports a verb only when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a user meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Imports the verb's module."""
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"mlbuild.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Adds the nearest spelling to click's message."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            hint = did_you_mean(args[0], VERBS)
            ctx.fail(f"No such command '{args[0]}'." + (f" {hint.capitalize()}" if hint else ""))
        return super().resolve_command(ctx, args)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: mlbuild run pipelines/dogs.yaml -j 2",
)
@click.version_option(__version__, prog_name="mlbuild")
def cli() -> None:
    """Make for on-device models: train, convert, compress, verify, package."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    _refuse_windows()
    return ended(lambda: _called(arguments))


def _called(arguments: list[str] | None) -> int:
    try:
        code: Any = cli.main(arguments, prog_name="mlbuild", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Abort:  # what click makes of Ctrl-C
        tell("interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_PIPELINE


def _refuse_windows() -> None:
    if sys.platform == "win32":
        tell("mlbuild runs on Linux and macOS; on Windows use WSL: https://aka.ms/wsl")
        raise SystemExit(EXIT_PIPELINE)
