"""`mlbuild report`: what stands of a pipeline or of one model, beside how it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

from mlbuild.build import Pipeline
from mlbuild.cli import options, report_model
from mlbuild.cli.pipelines import is_file
from mlbuild.errors import DataError, Problem, UsageError
from mlbuild.report.summary.badge import built_badge
from mlbuild.report.summary.before import RELEASE, Before, Revision, released, revision
from mlbuild.report.summary.built import Built
from mlbuild.report.summary.built_page import page
from mlbuild.report.summary.gathering import Meaning, Shelf, gather
from mlbuild.report.summary.html import html
from mlbuild.report.summary.json import built_json
from mlbuild.report.summary.markdown import markdown
from mlbuild.report.summary.model import FailOn
from mlbuild.report.summary.page import Page
from mlbuild.report.summary.text import text

FORMATS = ("text", "markdown", "html", "json", "badge")
_PAGES: Mapping[str, Callable[[Page], str]] = {"text": text, "markdown": markdown, "html": html}


@click.command(
    "report",
    epilog="Example: mlbuild report pipelines/dogs.yaml --against main --format markdown\n\n"
    "         mlbuild report Dogs.mlpackage --source dogs.onnx --against main",
)
@click.argument("subject", metavar="PIPELINE|MODEL", type=click.Path(path_type=Path))
@click.option("--against", metavar="REV|release|MODEL", help="What to compare with.")
@click.option(
    "--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="How."
)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
@click.option(
    "--also",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Write another format too, without measuring again; may be repeated.",
)
@click.option(
    "--check", is_flag=True, help="Exit with 4 if anything is out of date, with 5 if a gate fails."
)
@options.variations
@click.option("--source", type=click.Path(path_type=Path), help="What MODEL was converted from.")
@click.option(
    "--samples",
    default="4",
    show_default=True,
    metavar="DIR|FILE|N",
    help="For MODEL: a folder or file of pictures or .npz arrays by input name, or how many to "
    "draw at random; 0 looks at the files alone.",
)
@click.option("--limit", type=click.IntRange(1), default=8, show_default=True, help="Files read.")
@click.option("--trust", is_flag=True, help="Load a --source that may run code: .pt, .pkl, .h5.")
@click.option(
    "--fail-on",
    type=click.Choice([str(level) for level in FailOn]),
    default=str(FailOn.ERROR),
    show_default=True,
    help="The least of lint's findings in MODEL that --check refuses.",
)
@click.option("--min-psnr", type=float, metavar="DB", help="What --check asks of MODEL's likeness.")
@click.option(
    "--toolchains",
    is_flag=True,
    help="Only print the folders of the toolchains that it needs, there or not: what CI may cache.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_context
def command(
    context: click.Context,
    subject: Path,
    against: str | None,
    style: str,
    output: Path | None,
    also: tuple[str, ...],
    check: bool,
    sets: tuple[str, ...],
    profiles: tuple[str, ...],
    source: Path | None,
    samples: str,
    limit: int,
    trust: bool,
    fail_on: str,
    min_psnr: float | None,
    toolchains: bool,
    as_json: bool,
) -> int:
    """Show figures, gates, sizes and what changed. Builds nothing.

    Of a PIPELINE what its ledger and metrics say, beside a git revision (--against main) or the
    last release (--against release; the default where there is one). Of a MODEL (.mlpackage,
    .mlmodel), with no pipeline needed: what `inspect`, `lint` and, with --source, `compare` tell,
    beside the same file at a git revision or another MODEL.
    """
    wanted = [("json" if as_json else style, output), *(_also(pair) for pair in also)]
    asked = {name for name in context.params if _given(context, name)}
    if is_file(str(subject)):
        _refuse(asked, {"source", "samples", "limit", "trust", "fail_on", "min_psnr"}, "MODEL")
        if toolchains:
            return _folders(subject, profiles, sets)
        built = _built(subject, against, profiles, sets)
        for name, file in wanted:
            _write(_of_built(built, name), file)
        return built.exit_code if check else 0
    _refuse(asked, {"sets", "profiles"}, "PIPELINE")
    if toolchains:
        return _listed(report_model.toolchains(subject, source))
    demands = report_model.demands(fail_on, min_psnr)
    model = report_model.examine(subject, against, source, samples, limit, trust, demands)
    for name, file in wanted:
        paged = _PAGES.get(name)
        told = paged(report_model.page(model)) if paged else report_model.facts(model, name)
        _write(told, file)
    return model.exit_code if check else 0


def _built(
    file: Path, against: str | None, profiles: tuple[str, ...], sets: tuple[str, ...]
) -> Built:
    pipeline = Pipeline.load(file, profiles=profiles, sets=sets)
    planned = pipeline.plan()
    if against == RELEASE and pipeline.resolved.release is None:
        hint = "add one, or name a git revision"
        raise UsageError("--against release: the pipeline has no 'release:' section", hint=hint)
    last, notes = _released(pipeline, against == RELEASE)
    then = last
    if against not in (None, RELEASE):
        then, notes = revision(pipeline.root, str(against)), ()
    place = pipeline.store.object_path
    before, release = (
        Before(at, pipeline.root, pipeline.resolved.file, place) if at else None
        for at in (then, last)
    )

    def meanings(kind: str) -> Mapping[str, Meaning]:
        return pipeline.kinds.get(kind).kind.metrics

    shelf = Shelf(place, pipeline.store.recorded)
    return gather(pipeline.resolved, planned, meanings, shelf, before, release, notes)


def _folders(file: Path, profiles: tuple[str, ...], sets: tuple[str, ...]) -> int:
    pipeline = Pipeline.load(file, profiles=profiles, sets=sets)
    used = {stage.toolchain for stage in pipeline.resolved.stages if stage.toolchain}
    made = pipeline.toolchains()
    return _listed(made.path(name) for name in sorted(used))


def _listed(folders: Iterable[Path]) -> int:
    for folder in folders:
        click.echo(folder)
    return 0


def _released(pipeline: Pipeline, asked: bool) -> tuple[Revision | None, tuple[str, ...]]:
    """The last release, and what there is to say where it is not known."""
    try:
        found = released(pipeline.resolved)
    except DataError as error:
        if asked:
            raise
        # A clone without history has no releases; nobody asked for them.
        return None, (error.problems[0].message,)
    return found, ("there is no release yet",) if asked and found is None else ()


def _of_built(built: Built, name: str) -> str:
    if name in _PAGES:
        return _PAGES[name](page(built))
    return built_badge(built) if name == "badge" else built_json(built)


def _write(told: str, file: Path | None) -> None:
    if file is None:
        click.echo(told)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{told}\n", encoding="utf-8")


def _also(pair: str) -> tuple[str, Path]:
    name, _, file = pair.partition("=")
    if name not in FORMATS or not file:
        raise UsageError(Problem("--also wants FORMAT=FILE", got=pair, allowed=FORMATS))
    return name, Path(file)


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _refuse(asked: set[str], foreign: set[str], what: str) -> None:
    """Options that would silently do nothing."""
    for name in sorted(asked & foreign):
        option = {"sets": "--set", "profiles": "--profile"}.get(name, f"--{name.replace('_', '-')}")
        raise UsageError(Problem(f"{option} is for a {what}"))
