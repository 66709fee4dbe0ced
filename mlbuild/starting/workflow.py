"""Files that make a CI service check each change and release what was merged."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from mlbuild import __version__
from mlbuild.starting.filling import fill, quoted, template

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
    pipeline: str,
    root: Path,
    remote: str = "",
    branch: str = "main",
) -> dict[Path, str]:
    """The CI files of one pipeline.

    Args:
        service: "github", "gitlab" or "none".
        name: of the pipeline.
        pipeline: its file, relative to the project.
        root: the project.
        remote: address of the team's DVC remote, where it is known.
        branch: what is merged into, and released from.

    Returns:
        Text by path.
    """
    if service == "none":
        return {}
    lock = pipeline.removesuffix(".yaml") + "-lock.json"
    plugin, secrets = _REMOTES.get(urlsplit(remote).scheme, ("", _REMOTES["s3"][1]))
    values = {
        "name": name,
        "named": quoted(name),
        "release": name.lower(),
        "version": __version__,
        "branch": quoted(branch),
        # In GitLab's variables a dollar is doubled, or it begins another one.
        "pipeline": quoted(pipeline.replace("$", "$$") if service == "gitlab" else pipeline),
        "pipeline_plain": pipeline,
        "lock": quoted(lock),
        "lock_expression": "'" + lock.replace("'", "''") + "'",
        "plugin": f" {plugin}" if plugin else "",
        "secrets": "\n".join(f"          {s}: ${{{{ secrets.{s} }}}}" for s in secrets),
    }
    if service == "github":
        path = root / ".github" / "workflows" / f"{name}.yml"
        return {path: fill(template("ci/github.yml"), values)}
    # A second pipeline's jobs lie beside, to be included.
    path = root / GITLAB
    if path.exists():
        path = root / ".gitlab" / f"{name}.yml"
    return {path: fill(template("ci/gitlab.yml"), values)}


def to_include(files: dict[Path, str], root: Path) -> str | None:
    """The line that `.gitlab-ci.yml` lacks where the jobs lie in a file of their own."""
    for path in files:
        if path.parent == root / ".gitlab":
            return f"include: {{local: .gitlab/{path.name}}}"
    return None
