"""`mlbuild lint`: what is wrong with a Core ML model, or will be on a device."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mlbuild.cli import modeljob, options
from mlbuild.errors import Problem, UsageError

_TARGETS = ["iOS15", "iOS16", "iOS17", "iOS18", "iOS26"]


@click.command("lint", epilog="Example: mlbuild lint Dogs.mlpackage --samples photos/ --strict")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--samples",
    default="2",
    show_default=True,
    metavar="DIR|FILE|N",
    help="A folder or file of pictures or .npz arrays by input name, or how many to draw at "
    "random; 0 looks at the files alone.",
)
@click.option("--limit", type=click.IntRange(1), default=8, show_default=True, help="Files read.")
@click.option("--target", type=click.Choice(_TARGETS), help="The oldest system it is meant for.")
@click.option("--strict", is_flag=True, help="Exit with 1 if anything worse than a note is found.")
@options.JSON
def command(
    model: Path, samples: str, limit: int, target: str | None, strict: bool, as_json: bool
) -> int:
    """Check a Core ML MODEL: float16, constants, opsets, NaN, compression, Neural Engine."""
    if not samples.isdigit():
        if not Path(samples).exists():
            raise UsageError(
                Problem(
                    f"--samples {samples}: there is no such file or folder",
                    hint="or give a number",
                )
            )
        samples = str(Path(samples).resolve())
    params = {"samples": samples, "limit": limit, "target": target}
    answer = modeljob.answer("lint", model, params)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        for finding in answer["findings"]:
            click.echo(f"{finding['severity']}: {finding['place']}: {finding['what']}")
            click.echo(f"  {finding['rule']}; {finding['remedy']}")
        click.echo(_total(answer["findings"]))
    worse = any(finding["severity"] != "note" for finding in answer["findings"])
    return 1 if strict and worse else 0


def _total(findings: list[dict[str, str]]) -> str:
    counts = {s: sum(f["severity"] == s for f in findings) for s in ("error", "warning", "note")}
    told = [f"{n} {s}{'s' if n != 1 else ''}" for s, n in counts.items() if n]
    return ", ".join(told) or "nothing found"
