"""Publishers of a pipeline's `release: publish:` list, each imported only where it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlbuild.errors import PipelineError
from mlbuild.publishing import check_spec, is_hub_name, kind_of
from mlbuild.records import Json, Progress
from mlbuild.release.publish.protocol import Order, Patience, Publisher, silent

_Opener = Callable[[Order], Publisher]


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
    orders = [Order(spec, root, environ, progress, bearing) for spec in specs]
    return [_OPENERS[kind_of(order.spec)](order) for order in orders]


def _folder(order: Order) -> Publisher:
    from mlbuild.release.publish.folder import Folder  # each kind only where it is named

    target = str(order.spec["folder"])
    return Folder(target, order.folder(target), order.progress)


def _s3(order: Order) -> Publisher:
    from mlbuild.release.publish.s3 import S3  # botocore costs 0.3 CPU s and is optional

    return S3(order)


def _github(order: Order) -> Publisher:
    from mlbuild.release.publish.github import GitHub  # requests costs 0.1 CPU s

    return GitHub(order)


def _gitlab(order: Order) -> Publisher:
    from mlbuild.release.publish.gitlab import GitLab  # requests costs 0.1 CPU s

    return GitLab(order)


def _hub(order: Order) -> Publisher:
    target = str(order.spec["hub"])
    if is_hub_name(target):
        from mlbuild.release.publish.huggingface import HuggingFace  # requests: 0.1 CPU s

        return HuggingFace(order)
    from mlbuild.release.publish.hub import HubFolder  # each kind only where it is named

    commits = bool(order.spec.get("git", False))
    return HubFolder(target, order.folder(target), order.progress, commits=commits)


_OPENERS: Mapping[str, _Opener] = {
    "folder": _folder,
    "s3": _s3,
    "github": _github,
    "gitlab": _gitlab,
    "hub": _hub,
}
