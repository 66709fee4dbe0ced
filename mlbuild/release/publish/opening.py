"""Publishers of a pipeline's `release: publish:` list, each imported only where it is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlbuild.errors import PipelineError
from mlbuild.publishing import check_spec, is_hub_name, kind_of
from mlbuild.records import Json, Progress
from mlbuild.release.publish.protocol import Patience, Publisher, silent

_Opener = Callable[[Mapping[str, Json], Path, Mapping[str, str], Progress, Patience], Publisher]


def open_publishers(
    specs: Sequence[Mapping[str, Json]],
    root: Path,
    environ: Mapping[str, str],
    *,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> list[Publisher]:
    """The publishers of a pipeline, in its order; nothing is asked of any of them yet.

    Args:
        specs: as the pipeline file has them.
        root: the project, which folders are relative to.
        environ: where tokens are found.
        progress: told (bytes done, bytes in all, what).
        patience: how long to bear with services.

    Raises:
        PipelineError: a spec is wrong.
    """
    faults = [fault.problem for spec in specs if (fault := check_spec(spec))]
    if faults:
        raise PipelineError(*faults)
    bearing = patience or Patience()
    return [_OPENERS[kind_of(spec)](spec, root, environ, progress, bearing) for spec in specs]


def _place(root: Path, path: str) -> Path:
    return Path(os.path.normpath(root / Path(path).expanduser()))


def _folder(
    spec: Mapping[str, Json],
    root: Path,
    environ: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Publisher:
    from mlbuild.release.publish.folder import Folder  # each kind only where it is named

    return Folder(str(spec["folder"]), _place(root, str(spec["folder"])), progress)


def _s3(
    spec: Mapping[str, Json],
    root: Path,
    environ: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Publisher:
    from mlbuild.release.publish.s3 import S3  # botocore costs 0.3 CPU s and is optional

    return S3(spec, environ, progress, patience)


def _github(
    spec: Mapping[str, Json],
    root: Path,
    environ: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Publisher:
    from mlbuild.release.publish.github import GitHub  # requests costs 0.1 CPU s

    return GitHub(spec, environ, progress, patience)


def _gitlab(
    spec: Mapping[str, Json],
    root: Path,
    environ: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Publisher:
    from mlbuild.release.publish.gitlab import GitLab  # requests costs 0.1 CPU s

    return GitLab(spec, environ, progress, patience)


def _hub(
    spec: Mapping[str, Json],
    root: Path,
    environ: Mapping[str, str],
    progress: Progress,
    patience: Patience,
) -> Publisher:
    target = str(spec["hub"])
    if is_hub_name(target):
        from mlbuild.release.publish.huggingface import HuggingFace  # requests: 0.1 CPU s

        return HuggingFace(spec, environ, progress, patience)
    from mlbuild.release.publish.hub import HubFolder  # each kind only where it is named

    return HubFolder(target, _place(root, target), progress, commits=bool(spec.get("git", False)))


_OPENERS: Mapping[str, _Opener] = {
    "folder": _folder,
    "s3": _s3,
    "github": _github,
    "gitlab": _gitlab,
    "hub": _hub,
}
