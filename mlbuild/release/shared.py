"""Whether the team can have what is released: the next build compares itself with it."""

from __future__ import annotations

from mlbuild.errors import DataError, Problem
from mlbuild.release.artifacts import Built
from mlbuild.release.facts import ReleaseFacts
from mlbuild.store.team import object_path


def require_shared(built: Built, facts: ReleaseFacts) -> None:
    """Raises a DataError for artifacts that are not on the team's remote, where there is one."""
    files = built.store.team.files
    if files is None:
        return
    stages = {stage.name: stage for stage in built.pipeline.stages}
    to_push = [a for a in facts.artifacts if stages[a.stage].output(a.output).push]
    away = [a.name for a in to_push if files.size(object_path(a.md5)) is None]
    if away:
        what = f"not on the team's remote '{files.name}': {', '.join(away)}"
        hint = f"mlbuild push {facts.pipeline}: the next build is compared with it"
        raise DataError(Problem(what, hint=hint))
