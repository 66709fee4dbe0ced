"""`mlbuild init`: start a new project, from nothing, from data or from a model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from mlbuild.cli import asking
from mlbuild.starting import choices as chosen
from mlbuild.starting import project, writing
from mlbuild.starting.choices import SERVICES, Choices
from mlbuild.starting.found import Found
from mlbuild.starting.looking import look, search
from mlbuild.starting.models import look_at_model, shape_of
from mlbuild.starting.tasks import TARGET, TASKS

_FRAMEWORKS = tuple(dict.fromkeys(f for task in TASKS.values() for f in task.frameworks))


@click.command(
    "init",
    epilog="Example: mlbuild init my-app --name flowers\n\n"
    "mlbuild init my-app --data photos --copy --ci github --remote s3://bucket/models",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--name", default=None, help="Name of the pipeline; else the folder's name.")
@click.option("--task", default=None, metavar="TASK", help=f"{', '.join(TASKS)}.")
@click.option("--framework", default=None, metavar="FRAMEWORK", help=f"{', '.join(_FRAMEWORKS)}.")
@click.option("--target", default=None, help=f"Oldest system that runs it.  [default: {TARGET}]")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="What to learn from: it is looked at, and tells the task.",
)
@click.option("--copy", is_flag=True, help="Copy them into the project, so that DVC versions them.")
@click.option("--target-column", default=None, help="Of a table: the column that is to be told.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=None,
    help="A model that exists, to be converted, validated and packaged.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=SIZES",
    help="Of a model that does not say it: image=1,3,224,224; may be repeated.",
)
@click.option("--ci", type=click.Choice(SERVICES), default=None, help="Write a CI workflow.")
@click.option("--remote", default=None, metavar="URL", help="The team's DVC remote.")
@click.option("--no-git", is_flag=True, help="Make no git repository where there is none.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what follows from the rest.")
def command(
    folder: Path,
    name: str | None,
    task: str | None,
    framework: str | None,
    target: str | None,
    data: Path | None,
    copy: bool,
    target_column: str | None,
    model: Path | None,
    inputs: tuple[str, ...],
    ci: str | None,
    remote: str | None,
    no_git: bool,
    yes: bool,
) -> int:
    """Start a project in FOLDER: a pipeline, git, DVC, CI, and a README.

    From --data, or data that lie in FOLDER, the task is inferred; from --model how it is
    converted. With neither, ImageNet's classifier is adapted, which needs no data. In a project
    that has pipelines, --ci alone adds the workflow. Nothing that is there is overwritten. On a
    terminal, what is not given is asked for.
    """
    ask = asking.Terminal() if _on_terminal() and not yes else asking.Silent()
    told = (task, framework, target, data, model)
    if ci not in (None, "none") and not any(told) and (known := _pipelines(folder, name)):
        return _only_ci(folder, str(ci), asking.one_of(known), remote)
    name = chosen.checked_name(name or ask.text("Name of the pipeline", chosen.name_for(folder)))
    if (file := folder / "pipelines" / f"{name}.yaml").exists():
        raise writing.there(file)
    existing = look_at_model(model) if model else None
    found = look(data, target_column) if data else None
    if found is None and existing is None:
        found = search(folder) if task is None else None
        if found is None and (path := ask.text("Data to look at, a path (none: empty)", "")):
            found = look(Path(path).expanduser(), target_column)
    _tell(found)
    task = chosen.chosen_task(task or ask.task(found, existing), found, existing)
    found = asking.with_target(ask, found, task, target_column)
    made = Choices(
        name=name,
        task=task,
        framework=chosen.chosen_framework(framework or ask.framework(task), task, existing),
        target=chosen.checked_target(target or ask.target()),
        found=found,
        model=existing,
        shapes=asking.shapes(ask, existing, dict(map(shape_of, inputs))),
        ci=ci or ask.ci(),
    )
    return _make(made, folder, ask, remote, no_git, copy)


def _make(
    made: Choices, folder: Path, ask: asking.Asks, remote: str | None, no_git: bool, copy: bool
) -> int:
    here = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    git = not no_git and not project.in_git(folder) and ask.yes("Make a git repository?")
    # Where paths start is known only once the project's top is.
    top = folder.resolve() if git else project.root_of(folder)
    where = remote if remote is not None else ask.text("DVC remote of the team (none: empty)", "")
    publish = project.publisher(top, made.ci) if made.ci != "none" else ""
    made, copies = _brought_in(made, folder, top, ask, copy)
    drafts = writing.drafts(made, folder, top, publish, where or project.remote_of(top))
    done = writing.write(drafts, top / ".gitignore")
    for source, target in copies:
        project.copy_in(source, target)
        done.append(f"copied {source} to {target}")
    if git:
        project.make_git(folder)
        done.insert(0, f"made a git repository in {folder}")
    if project.make_dvc(top):
        done.append(f"made a DVC repository in {writing.shown(top / '.dvc')}")
    if where:
        done.append(project.add_remote(top, where, here))
    for line in done:
        click.echo(line)
    click.echo(f"next: mlbuild run {folder / 'pipelines' / made.name}.yaml")
    return 0


def _brought_in(
    made: Choices, folder: Path, top: Path, ask: asking.Asks, copy: bool
) -> tuple[Choices, list[tuple[Path, Path]]]:
    """The choices with data and model where they will lie, and what must be copied for it."""
    copies = []

    def wanted(path: Path) -> bool:
        return project.outside(top, path) and (copy or ask.copy(path))

    if made.found and wanted(source := made.found.path):
        copies.append((source, project.place_for(source, folder / "data")))
        made = replace(made, found=replace(made.found, path=copies[-1][1]))
    if made.model and wanted(source := made.model.path):
        copies.append((source, project.place_for(source, folder / "models")))
        made = replace(made, model=replace(made.model, path=copies[-1][1]))
    return made, copies


def _only_ci(folder: Path, service: str, pipeline: Path, remote: str | None) -> int:
    root = project.root_of(folder)
    for line in writing.add_ci(service, pipeline, root, remote or project.remote_of(root)):
        click.echo(line)
    if remote:
        project.make_dvc(root)
        click.echo(project.add_remote(root, remote, Path.cwd()))
    return 0


def _pipelines(folder: Path, name: str | None) -> list[Path]:
    """The pipelines that CI may be wanted for; none where a new one is named."""
    found = sorted((folder / "pipelines").glob("*.yaml"))
    return [f for f in found if f.stem == name] if name else found


def _tell(found: Found | None) -> None:
    if found:
        click.echo(f"{found.path}: {found.form.value} ({found.why})")


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
