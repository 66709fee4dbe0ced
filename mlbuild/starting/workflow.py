"""Files that make a CI service check each change and release what was merged."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mlbuild import __version__
from mlbuild.starting.filling import fill, quoted, template
from mlbuild.starting.values import path_in
from mlbuild.store.gitignore import git_top
from mlbuild.store.init import dvc_folder

GITLAB = ".gitlab-ci.yml"

# Scheme of the DVC remote -> the distribution that reaches it, and what it wants to be told.
_REMOTES = {
    "s3": ("dvc-s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    "gs": ("dvc-gs", ("GOOGLE_APPLICATION_CREDENTIALS_DATA",)),
    "azure": ("dvc-azure", ("AZURE_STORAGE_CONNECTION_STRING",)),
    "ssh": ("dvc-ssh", ()),
    "webdavs": ("dvc-webdav", ()),
}


def workflow_files(
    service: str,
    name: str,
    pipeline: Path,
    root: Path,
    remote: str = "",
    branch: str = "main",
) -> dict[Path, str]:
    """The CI files of one pipeline.

    Args:
        service: "github", "gitlab" or "none".
        name: of the pipeline.
        pipeline: its file.
        root: the project, which may be a folder of its repository.
        remote: address of the team's DVC remote, where it is known.
        branch: what is merged into, and released from.

    Returns:
        Text by path.
    """
    if service == "none":
        return {}
    top = top_of(root)
    file, inside = path_in(top, pipeline), path_in(top, root)
    lock = file.removesuffix(".yaml") + "-lock.json"
    plugin, secrets = _REMOTES.get(urlsplit(remote).scheme, ("", _REMOTES["s3"][1]))
    ledger = dvc_folder(root) or root / ".dvc"
    values = {
        "name": name,
        "named": quoted(name),
        "release": name.lower(),
        "version": __version__,
        "branch": quoted(branch),
        # In GitLab's variables a dollar is doubled, or it begins another one.
        "pipeline": quoted(file.replace("$", "$$") if service == "gitlab" else file),
        "pipeline_plain": file,
        "lock": quoted(lock),
        "lock_expression": "'" + lock.replace("'", "''") + "'",
        "cache": quoted(path_in(top, ledger / "cache")),
        "dvc_lock": quoted((PurePosixPath(inside) / "dvc.lock").as_posix()),
        "selftest": quoted((PurePosixPath(inside) / "build" / name / "selftest").as_posix()),
        "releases": quoted((PurePosixPath(inside) / "releases" / name.lower()).as_posix()),
        "plugin": f" {plugin}" if plugin else "",
        "secrets": "\n".join(f"          {s}: ${{{{ secrets.{s} }}}}" for s in secrets),
    }
    return {_place(service, name, top): fill(template(f"ci/{service}.yml"), values)}


def top_of(root: Path) -> Path:
    """The top of the repository, where services look for their files."""
    return git_top(root.resolve()) or root


def to_include(files: dict[Path, str], root: Path) -> str | None:
    """The line that `.gitlab-ci.yml` lacks where the jobs lie in a file of their own."""
    for path in files:
        if path.parent == top_of(root) / ".gitlab":
            return f"include: {{local: .gitlab/{path.name}}}"
    return None


def _place(service: str, name: str, top: Path) -> Path:
    """A second pipeline's jobs lie beside the first's, to be included."""
    if service == "github":
        return top / ".github" / "workflows" / f"{name}.yml"
    return top / ".gitlab" / f"{name}.yml" if (top / GITLAB).exists() else top / GITLAB
