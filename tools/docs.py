"""Writes the pages that are made from code: `python tools/docs.py` (a test holds them to it)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from pipeline_page import pipeline_markdown  # noqa: E402 - after the path is set

from mlbuild.cli.main import VERBS, cli  # noqa: E402 - after the path is set
from mlbuild.pipeline.schema import schema_text  # noqa: E402
from mlbuild.registry import Registry  # noqa: E402
from mlbuild.report.kinds import kinds_markdown  # noqa: E402

_WIDTH = 96


def commands_markdown() -> str:
    """Every verb with its `--help`."""
    parts = [
        "# Commands\n\n<!-- made by tools/docs.py; do not edit -->\n\n"
        "Exit codes: 0 done; 1 a stage failed; 2 the pipeline, its graph or the command line is "
        "wrong; 3 a\ntoolchain could not be made; 4 data or ledger; 5 a gate did not hold; 130 "
        "interrupted.\nWhere several apply: 130, 4, 3, 1, 5.\n"
    ]
    context = click.Context(
        cli, info_name="mlbuild", max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        inner = click.Context(command, info_name=verb, parent=context, terminal_width=_WIDTH)
        parts.append(f"## mlbuild {verb}\n\n```text\n{command.get_help(inner)}\n```\n")
        if isinstance(command, click.Group):
            for name, part in sorted(command.commands.items()):
                below = click.Context(part, info_name=name, parent=inner, terminal_width=_WIDTH)
                parts.append(f"### mlbuild {verb} {name}\n\n```text\n{part.get_help(below)}\n```\n")
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Path -> text of every page made from code."""
    kinds = Registry.load(None, trusted=False)
    return {
        ROOT / "docs/commands.md": commands_markdown(),
        ROOT / "docs/kinds.md": kinds_markdown(kinds),
        ROOT / "docs/pipeline-file.md": pipeline_markdown(),
        ROOT / "mlbuild/pipeline/schema.json": schema_text(kinds),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
