"""The files of a new project: composed first, held against what is there, then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import Problem, UsageError
from mlbuild.starting.choices import Choices
from mlbuild.starting.filling import Values, fill, template
from mlbuild.starting.project import main_branch
from mlbuild.starting.tasks import TASKS
from mlbuild.starting.values import path_in, script_name, values_of
from mlbuild.starting.workflow import GITLAB, to_include, top_of, workflow_files
from mlbuild.store.files import write_atomic


@dataclass(frozen=True, slots=True)
class Draft:
    """One file that is to be written."""

    path: Path
    text: str
    ours: bool = True  # it must not be there yet; else what is there is kept


def drafts(
    choices: Choices, folder: Path, root: Path, publish: str = "", remote: str = ""
) -> list[Draft]:
    """All files of a new project.

    Args:
        choices: what it shall be.
        folder: where `pipelines/` is made.
        root: the project that the folder belongs to, which paths are relative to.
        publish: where releases go.
        remote: address of the team's DVC remote.
    """
    values, branch = values_of(choices, root, publish), main_branch(root)
    pipeline = folder / "pipelines" / f"{choices.name}.yaml"
    body = fill(template(f"{choices.task}.yaml"), values)
    made = [Draft(pipeline, body + fill(template("release.yaml"), values))]
    if script := _script(choices, values):
        made.append(Draft(folder / "pipelines" / "scripts" / script_name(choices), script))
    ci = workflow_files(choices.ci, choices.name, pipeline, root, remote, branch)
    made += [Draft(path, text) for path, text in ci.items()]
    told = {
        **values,
        "data_words": _data_words(choices, root, values),
        "ci": choices.ci != "none",
        "github": choices.ci == "github",
        "branch": branch,
        "remote": remote,
        "ci_file": path_in(top_of(root), next(iter(ci))) if ci else "",
        "request": "pull request" if choices.ci == "github" else "merge request",
    }
    made.append(Draft(folder / "README.md", fill(template("README.md"), told), ours=False))
    made.append(Draft(folder / "data" / "README.md", _about_data(choices), ours=False))
    return made


def write(made: list[Draft], ignore: Path) -> list[str]:
    """Writes all of them, or nothing where one of ours is there already.

    Args:
        made: from ``drafts``.
        ignore: the `.gitignore` that lacks lines of ours.

    Returns:
        What was done, a line each.

    Raises:
        UsageError: a file is there already.
    """
    if taken := [draft.path for draft in made if draft.ours and draft.path.exists()]:
        raise there(*taken)
    told = []
    for draft in made:
        if draft.path.exists():
            told.append(f"kept {shown(draft.path)}")
            continue
        draft.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(draft.path, draft.text.encode("utf-8"))
        told.append(f"wrote {shown(draft.path)}")
    return told + merge_ignore(ignore)


def shown(path: Path) -> Path:
    """A path as the caller would write it."""
    whole, here = path.absolute(), Path.cwd()
    return whole.relative_to(here) if whole.is_relative_to(here) else path


def there(*paths: Path) -> UsageError:
    """Files of ours that stand already."""
    hint = "choose another --name"
    return UsageError(*[Problem(f"{shown(path)} is there already", hint=hint) for path in paths])


def add_ci(service: str, pipeline: Path, root: Path, remote: str) -> list[str]:
    """Writes the CI file of a pipeline that exists, and nothing else; what was done.

    Raises:
        UsageError: the file is there already.
    """
    files = workflow_files(service, pipeline.stem, pipeline, root, remote, main_branch(root))
    for path in files:
        if path.exists():
            hint = "remove it to have it written anew"
            raise UsageError(Problem(f"{shown(path)} is there already", hint=hint))
    told = []
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode("utf-8"))
        told.append(f"wrote {shown(path)}")
    if line := to_include(files, root):
        told.append(f"add to {shown(top_of(root) / GITLAB)}: {line}")
    return told


def merge_ignore(file: Path) -> list[str]:
    """Adds our lines that a `.gitignore` lacks, at its end; what was done."""
    text = file.read_text("utf-8") if file.exists() else ""
    have = {line.strip() for line in text.splitlines()}
    wanted = template("gitignore").splitlines()
    new = [line for line in wanted if line.startswith("#") or line not in have]
    # A heading stands only above a line that is added.
    new = [line for place, line in enumerate(new) if not _alone(new, place)]
    if not new:
        return []
    begin = text if text.endswith("\n") or not text else text + "\n"
    write_atomic(file, (begin + "\n".join(new) + "\n").encode("utf-8"))
    return [f"{'added to' if text else 'wrote'} {shown(file)}"]


def _alone(lines: list[str], place: int) -> bool:
    behind = lines[place + 1] if place + 1 < len(lines) else "#"
    return lines[place].startswith("#") and behind.startswith("#")


def _script(choices: Choices, values: Values) -> str:
    if choices.task == "sound" and choices.found is None:
        return fill(template("tones.py.txt"), values)
    if choices.task == "convert-only" and values["drawn"]:
        return fill(template("draw_samples.py.txt"), values)
    return ""


def _data_words(choices: Choices, root: Path, values: Mapping[str, str | bool]) -> str:
    if choices.task == "imagenet":
        return "None is needed: the network is ImageNet's own."
    if choices.task == "convert-only":
        return f"The model lies at `{values['model_told']}`; it is versioned by DVC."
    if choices.found is None:
        return (
            f"It begins with {values['told']}. For data of your own name their path in `datasets:` "
            f"of the\npipeline file, or let them be looked at: `mlbuild init --name NAME --data "
            f"{TASKS[choices.task].place}`."
        )
    path = path_in(root, choices.found.path)
    if path.startswith(".."):
        return (
            f"They lie beside the project, at `{path}`, and are recorded by their content only. "
            "Inside of it,\nin `data/`, DVC would version them for everybody."
        )
    return f"They lie in `{path}` ({choices.found.why}). The first run lets DVC version them."


def _about_data(choices: Choices) -> str:
    task = TASKS[choices.task]
    forms = "\n".join(f"- {form.value}" for form in task.forms)
    wanted = f"\nWhat task `{choices.task}` learns from:\n\n{forms}\n" if forms else ""
    return (
        "# Data\n\nWhat a pipeline names in `datasets: {NAME: {path: data/...}}` is versioned by "
        "DVC on the first run:\ngit keeps the `.dvc` file, `mlbuild push` sends the data to the "
        f"team's remote.\n{wanted}"
    )
