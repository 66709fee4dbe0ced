"""What is made around a first pipeline: git, DVC, the team's remote; and where releases may go."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mlbuild.errors import DataError, Problem, UsageError
from mlbuild.pipeline.root import project_root
from mlbuild.store.files import explained, remove
from mlbuild.store.gitignore import git_top
from mlbuild.store.init import dvc_folder, ensure_dvc

REMOTE = "storage"
_ADDRESS = re.compile(
    r"(?:https?://|ssh://|git@)(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[\w./-]+?)(?:\.git)?/?"
)


def root_of(folder: Path) -> Path:
    """The project that a pipeline in this folder belongs to."""
    return project_root(folder / "pipelines" / "any.yaml")


def in_git(folder: Path) -> bool:
    """Whether the folder lies in a work tree, or will once it is made."""
    return git_top(folder.resolve()) is not None


def outside(root: Path, path: Path) -> bool:
    """Whether something lies beside the project, where others do not get it."""
    return not path.resolve().is_relative_to(root.resolve())


def place_for(source: Path, folder: Path) -> Path:
    """Where a copy of data or of a model is to lie in the project.

    Raises:
        UsageError: something of that name is there.
    """
    target = folder / source.resolve().name
    if target.exists():
        hint = "rename one of them, or leave out --copy"
        raise UsageError(Problem(f"{target} is there already", hint=hint))
    return target


def copy_in(source: Path, target: Path) -> None:
    """Copies a file or a folder; nothing is left of a copy that did not come to its end.

    Raises:
        DataError: it cannot be read or written.
    """
    work = target.with_name(f".{target.name}.copying")
    with explained("copying", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(work)
        if source.is_dir():
            shutil.copytree(source, work)
        else:
            shutil.copy2(source, work)
        work.rename(target)


def make_git(folder: Path) -> None:
    """A git repository whose first branch is called main.

    Raises:
        UsageError: git cannot make it.
    """
    _called(["git", "init", "-q", "-b", "main", str(folder)], folder, "--no-git goes without")


def make_dvc(root: Path) -> str | None:
    """A DVC repository where there is none, as the first run would make it; what was done."""
    return ensure_dvc(root)


def add_remote(root: Path, url: str, here: Path) -> str:
    """Makes a place the team's default remote; what was done.

    Args:
        root: the project.
        url: an address that DVC knows, or a folder.
        here: what a relative folder is relative to.

    Raises:
        DataError: DVC refuses it.
    """
    config = dvc_folder(root)
    if config and re.search(r"^\s*remote\s*=", _text(config / "config"), re.MULTILINE):
        return f"kept the DVC remote that {config / 'config'} names"
    # A folder is named from the top of the disk: clones lie anywhere.
    place = url if re.match(r"[a-z0-9+]+://", url) else os.fspath((here / url).resolve())
    command = [sys.executable, "-m", "dvc", "remote", "add", "-d", REMOTE, place]
    try:
        subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["nothing"]
        told = next((line for line in said if line.startswith("ERROR")), said[-1])
        problem = Problem(f"DVC does not take '{url}' as a remote", got=told)
        raise DataError(problem) from error
    return f"made {place} the team's DVC remote"


def remote_of(root: Path) -> str:
    """The address of the team's default remote; nothing where there is none."""
    config = dvc_folder(root)
    text = _text(config / "config") if config else ""
    name = re.search(r"^\s*remote\s*=\s*(\S+)", text, re.MULTILINE)
    if name is None:
        return ""
    section = rf'\[[\'"]*remote "{re.escape(name[1])}"[^\]]*\]([^\[]*)'
    found = re.search(section, text)
    url = re.search(r"^\s*url\s*=\s*(\S+)", found[1], re.MULTILINE) if found else None
    return url[1] if url else ""


def main_branch(root: Path) -> str:
    """What is merged into: what `origin` says, else the branch at hand if it is called so."""
    said = _git(root, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    here = _git(root, "symbolic-ref", "--short", "HEAD")
    return said or (here if here in ("master", "trunk") else "main")


def publisher(root: Path, service: str) -> str:
    """Where CI's releases go: the repository that `origin` names; nothing if it names none."""
    found = _ADDRESS.fullmatch(_git(root, "config", "--get", "remote.origin.url"))
    if found is None or service not in found["host"]:
        return ""
    return f"{{{service}: {found['path']}}}"


def _git(root: Path, *arguments: str) -> str:
    """What git answers; nothing where it does not know, or is not there."""
    command = ["git", "-C", os.fspath(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def _called(command: list[str], folder: Path, hint: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UsageError(Problem("there is no git on this machine", hint=hint)) from error
    except subprocess.CalledProcessError as error:
        problem = Problem(f"git cannot begin in {folder}", got=error.stderr.strip(), hint=hint)
        raise UsageError(problem) from error
