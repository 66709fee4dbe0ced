"""A release from start to end on one page: ready -> built -> judged -> compared -> put together ->
sent -> tagged -> shown. Each step may be repeated: a release that was cut off goes on from where it
was, and nobody sees any of it before all of it is there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlbuild.errors import EXIT_DATA, EXIT_GATE, EXIT_INTERRUPTED, EXIT_OK, DataError, Problem
from mlbuild.records import (
    BuildResult,
    Decision,
    Digest,
    Json,
    Outcome,
)
from mlbuild.release import gating, ready, tags
from mlbuild.release.alone import alone
from mlbuild.release.artifacts import Built, spec_of
from mlbuild.release.change import FIRST, compare
from mlbuild.release.current import Standing, require_current, standing
from mlbuild.release.documents.notes import notes_text
from mlbuild.release.facts import Change, ReleaseFacts
from mlbuild.release.folder import assemble, files_of, finish, manifest_digest
from mlbuild.release.gather import gather
from mlbuild.release.history import past_of
from mlbuild.release.models import Models
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher
from mlbuild.release.sending import send, survey
from mlbuild.release.shared import require_shared
from mlbuild.release.terms import Project, Released, Tell, Wish
from mlbuild.store.files import remove
from mlbuild.store.lock import using


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A release of which everything is known."""

    facts: ReleaseFacts
    built: Built
    remarks: tuple[str, ...]


def release(project: Project, wish: Wish, tell: Tell) -> Released:
    """Releases what HEAD holds, or tells what would be released.

    Raises:
        DataError: something stands in the way, or broke off; what was done stays, and the next
            call goes on from there.
        UsageError: the version, a channel or a waiver cannot be.
    """
    pipeline, name = project.pipeline, spec_of(project.pipeline).name
    gating.check_waivers(pipeline, wish.waived)
    tags.check_channels(spec_of(pipeline), wish.channels)
    places = _publishers(project, wish)
    ready.require(pipeline, wish.folder, project.environ, push=wish.push, dry=wish.dry)
    state = pipeline.root / ".mlbuild"
    with contextlib.ExitStack() as held:
        if not wish.dry:
            held.enter_context(alone(state / "release" / f"{name}.lock"))
            held.enter_context(using(state / "locks"))
            tags.fetch_own(pipeline.root, name, ask=wish.push)
        at = standing(pipeline, wish.version)
        if at.own is not None:
            tell(f"{at.own.tag} is at HEAD: what is missing of that release is completed")
        prepared = _prepare(project, wish, at, tell)
        if isinstance(prepared, Released):
            return prepared
        return (_rehearse if wish.dry else _carry_out)(project, wish, at, prepared, places, tell)


def _prepare(project: Project, wish: Wish, at: Standing, tell: Tell) -> _Prepared | Released:
    """Built, judged, compared and numbered; or why there is nothing to release."""
    pipeline, waived = project.pipeline, {**at.waived, **wish.waived}
    if wish.dry:
        _require_in_place(project, waived)
    tell("holding the build against the ledger")
    result, store = project.build(waived)
    if stopped := _stopped(result):
        return stopped
    results = {stage.stage: stage for stage in result.stages}
    built = Built(pipeline, store, results, project.meanings, project.profiles, project.sets)
    gates = gating.judged(built, at.last, waived)
    if gating.failed(gates):
        return Released("gate_failed", EXIT_GATE, gates=tuple(gates))
    models = Models(pipeline.root / ".mlbuild", project.inspect)
    facts = gather(built, gates, models)
    change = _change(project, built, at, facts, models)
    decided = at.numbered(change, wish.version, wish.reason)
    if decided is None:
        return Released("nothing", EXIT_OK, gates=tuple(gates), remarks=change.why)
    require_current(pipeline, store, at.last)
    if wish.push:
        require_shared(built, facts)
    remarks = [f"the waiver of {n} was not needed" for n in gating.unneeded(gates, wish.waived)]
    previous = (at.last.version, at.last.commit) if at.last else (None, None)
    facts = replace(
        facts,
        version=decided.version,
        reason=decided.reason,
        change=change,
        previous=previous[0],
        previous_commit=previous[1],
    )
    return _Prepared(facts, built, tuple(remarks))


def _change(
    project: Project, built: Built, at: Standing, facts: ReleaseFacts, models: Models
) -> Change:
    """What changed since the release that HEAD stands on."""
    if at.last is None:
        return FIRST

    def interface(name: str, digest: Digest) -> Mapping[str, Json] | None:
        try:
            return models(digest.md5, built.store.released(digest, name, project.progress))
        except DataError:
            return None  # nobody has it any more: it may have changed, which is told

    names = {stage.name for stage in facts.stages}
    return compare(past_of(built, at.last, names, interface), facts)


def _carry_out(
    project: Project,
    wish: Wish,
    at: Standing,
    prepared: _Prepared,
    places: Sequence[Publisher],
    tell: Tell,
) -> Released:
    """Put together, sent, tagged, shown."""
    root, facts, remarks = project.pipeline.root, prepared.facts, prepared.remarks
    tell(f"putting {facts.name} {facts.version} together")
    folder = finish(facts, prepared.built, wish.folder, project.environ)
    wanted = _tags(project, wish, at, facts, manifest_digest(folder))
    push = wish.push and tags.has_remote(root)
    late = tags.unpushed(root, facts.name, facts.commit) if push else []
    if wish.push and not push:
        remarks += (f"there is no remote '{tags.REMOTE}': the tags are in this clone alone",)
    sent = send(
        _bundle(folder, facts), places, lambda: tags.make(root, wanted, late, push=push), tell
    )
    return Released(
        "released",
        EXIT_OK,
        facts,
        folder,
        tuple(files_of(folder)),
        (*late, *(tag.name for tag in wanted)),
        tuple(sent),
        facts.gates,
        remarks=remarks,
    )


def _rehearse(
    project: Project,
    wish: Wish,
    at: Standing,
    prepared: _Prepared,
    places: Sequence[Publisher],
    tell: Tell,
) -> Released:
    """Everything that would be seen, put together aside, unsigned, and removed again."""
    facts, aside = prepared.facts, project.pipeline.root / ".mlbuild" / "release" / "rehearsal"
    tell("a dry run: nothing is changed")
    folder = aside / str(os.getpid()) / facts.name / f"v{facts.version}"
    try:
        assemble(facts, prepared.built, folder)
        wanted = _tags(project, wish, at, facts, manifest_digest(folder))
        files, sent = files_of(folder), survey(_bundle(folder, facts), places)
    finally:
        remove(aside / str(os.getpid()))
    return Released(
        "would_release",
        EXIT_OK,
        facts,
        wish.folder / facts.name / f"v{facts.version}",
        tuple(files),
        tuple(tag.name for tag in wanted),
        tuple(sent),
        facts.gates,
        remarks=prepared.remarks,
    )


def _tags(
    project: Project, wish: Wish, at: Standing, facts: ReleaseFacts, manifest: str
) -> list[tags.NewTag]:
    """The tags that are not there yet."""
    root = project.pipeline.root
    wanted = []
    if at.own is None:
        wanted.append(tags.version_tag(facts, manifest))
    else:
        tags.require_manifest(root, at.own.tag, manifest)
    new = tags.channel_tags(root, facts.name, facts.commit, wish.channels, facts.version)
    return [*wanted, *new]


def _publishers(project: Project, wish: Wish) -> list[Publisher]:
    if not wish.publish:
        return []
    root, environ, progress = project.pipeline.root, project.environ, project.progress
    return open_publishers(spec_of(project.pipeline).publish, root, environ, progress=progress)


def _bundle(folder: Path, facts: ReleaseFacts) -> Bundle:
    return Bundle(folder, facts.name, facts.version, facts.tag, facts.commit, notes_text(facts))


def _require_in_place(project: Project, waived: Mapping[str, str]) -> None:
    """A dry run changes nothing, so it restores nothing either."""
    away = [
        planned.stage.name
        for planned in project.plan(waived)
        if planned.decision is not Decision.REUSE and not (planned.excluded or planned.blocked)
    ]
    if away:
        what = f"a dry run fetches nothing, and these results are not in place: {', '.join(away)}"
        hint = f"mlbuild run {project.pipeline.file.name} --locked brings what the team has"
        raise DataError(Problem(what, hint=hint))


def _stopped(result: BuildResult) -> Released | None:
    """Why a build is nothing to release."""
    by = {outcome: [s for s in result.stages if s.outcome is outcome] for outcome in Outcome}
    if by[Outcome.CANCELLED]:
        return Released("interrupted", EXIT_INTERRUPTED, build=result)
    if failed := [(s.stage, s.failure) for s in by[Outcome.FAILED] if s.failure]:
        raise DataError(*[Problem(f"{name}: {f.message}", hint=f.hint) for name, f in failed])
    stale = [s for s in by[Outcome.SKIPPED] if s.reasons]
    if stale:
        return Released("stale", EXIT_DATA, build=result)
    if by[Outcome.GATE_FAILED]:
        gates = gating.of_results({s.stage: s for s in result.stages})
        return Released("gate_failed", EXIT_GATE, gates=tuple(gates), build=result)
    return None
