"""The whole story on one page: load -> resolve -> graph -> plan -> execute -> record -> report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild import graph, loaded, standing, trust
from mlbuild.errors import PipelineError, Problem, UsageError
from mlbuild.execute import interrupts
from mlbuild.execute.local import LocalExecutor
from mlbuild.execute.making import TaskMaker
from mlbuild.execute.queue import Queue, impossible
from mlbuild.execute.shell import ShellPlan, shell_plan
from mlbuild.execute.steps import BuildSteps
from mlbuild.facts import Shelf, code_parts
from mlbuild.lazily import lazily
from mlbuild.plan import Facts, Planned, Planner
from mlbuild.records import (
    BuildResult,
    Decision,
    Json,
    Listener,
    Progress,
    Stage,
    StageResult,
)
from mlbuild.report.enginelog import EngineLog
from mlbuild.report.listener import Silent
from mlbuild.report.outcome import IN_PLACE, build_result, if_repeated
from mlbuild.sharing import Sharing
from mlbuild.sources import sources_of
from mlbuild.store.pins import Variation
from mlbuild.store.project import Store
from mlbuild.toolchains.places import cache_dir

if TYPE_CHECKING:
    from mlbuild import registry, toolchains
else:  # what a build of unchanged or plain commands has no use for
    registry, toolchains = lazily("mlbuild.registry"), lazily("mlbuild.toolchains")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to build. The defaults build everything that changed, one stage at a time."""

    targets: Sequence[str] = ()
    jobs: int = 1
    only: bool = False
    force: Sequence[str] = ()
    keep_going: bool = False
    pull: bool = True
    record: bool = True
    locked: bool = False
    offline: bool = False
    waived: Mapping[str, str] = field(default_factory=dict)  # STAGE.METRIC -> why it may fail
    strace: bool = False  # watch what every process of a stage reads, not only those in Python
    # For the no-op path: the command line, where it was given, and what it prints if repeated.
    arguments: tuple[str, ...] = ()
    caller: Path = field(default_factory=Path.cwd)
    tty: bool = False
    told_again: Callable[[Sequence[Stage], BuildResult], str] | None = None


class Pipeline:
    """A pipeline file, resolved. The Python twin of `mlbuild run` and `mlbuild status`."""

    def __init__(self, found: loaded.Loaded) -> None:
        self._loaded, self.resolved = found, found.resolved
        self.name, self.root = found.resolved.name, found.resolved.root

    @classmethod
    def load(
        cls, path: str | Path, *, profiles: Sequence[str] = (), sets: Sequence[str] = ()
    ) -> Pipeline:
        """Reads and checks a pipeline file; runs nothing.

        Raises:
            PipelineError: with everything that is wrong in the file, each with its place.
        """
        kept = loaded.load(Path(path), profiles, sets)
        return cls(kept or loaded.read(Path(path), profiles, sets))

    @cached_property
    def kinds(self) -> registry.Registry:
        """The stage kinds of the project."""
        return registry.Registry.load(self.root, trusted=trust.is_trusted(self.root))

    @cached_property
    def graph(self) -> graph.Graph:
        """Order and edges of all stages."""
        return graph.order(self.resolved.stages)

    @cached_property
    def store(self) -> Store:
        """What this project knows and keeps."""
        resolved = self.resolved
        return Store.open(self.root, self.name, resolved.file, resolved.ledger)

    def _forget(self) -> None:
        """Every plan and build looks at the disk anew."""
        self.__dict__.pop("store", None)

    def plan(
        self,
        options: RunOptions | None = None,
        listener: Listener | None = None,
        *,
        remote: bool = False,
    ) -> list[Planned]:
        """What a run would do, and why; changes nothing and fetches no data.

        Args:
            options: as for ``run``.
            listener: is warned where the remote cannot be asked.
            remote: ask the team's cache what it could restore.
        """
        options = options or RunOptions()
        self._forget()
        names = self.selection(options)
        planner, _ = self._planner(names, options, _unheard, fetch=False)
        sharing = Sharing(planner, self.store, self.graph, listener or Silent(), ask=remote)
        return sharing.survey(names)

    def run(
        self, options: RunOptions | None = None, listener: Listener | None = None
    ) -> BuildResult:
        """Builds what changed and returns what happened; failures of stages are results."""
        log = EngineLog(listener or Silent(), self.root / ".mlbuild" / "logs")
        return self.build(options or RunOptions(), log, log.finished)

    def build(
        self, options: RunOptions, listener: Listener, finished: Callable[[BuildResult], None]
    ) -> BuildResult:
        """One build without the engine's log; ``finished`` hears of its end."""
        began = time.monotonic()
        names = self.selection(options)
        self._forget()
        with self.store.lock(on_wait=listener.noted) as held:
            self.store.forget_noop()
            made = self.store.initialize()
            self.store.recover()
            self._watch()
            stands, todo = self._changed(names, options)
            planner, shelf = self._planner(names, options, _told(listener), fetch=True)
            planner.trust(stands.rows if stands else ())
            asking = options.pull and not options.offline
            sharing = Sharing(planner, self.store, self.graph, listener, ask=asking)
            planned = sharing.plan(todo)
            if shelf.release.doubt:
                listener.warned(shelf.release.doubt)
            count = sum(p.decision in (Decision.RUN, Decision.PENDING) for p in planned)
            listener.began(self.name, [self._stages[name] for name in names], count)
            results = self._reused(stands, names, todo, listener)
            results |= self._execute(
                todo, planned, planner, sharing, shelf, options, listener, held
            )
            self._record(planner, results, todo, shelf, options, listener)
            notes = [made] if made else []
            seconds = time.monotonic() - began
            result = build_result(self.name, results, names, seconds, notes, options.locked)
            finished(result)
            self._remember(result, stands, todo, options)
        return result

    def selection(self, options: RunOptions) -> list[str]:
        """Names of the stages that a run looks at, parents first."""
        for stage in options.force:
            graph.select(self.graph, self.resolved.stages, [stage])
        if not options.targets:
            return list(self.graph.order)
        wanted = graph.select(self.graph, self.resolved.stages, options.targets)
        if not options.only:
            wanted = wanted | self.graph.ancestors(wanted)
        return [name for name in self.graph.order if name in wanted]

    def toolchains(self, offline: bool = False) -> toolchains.Toolchains:
        """The built-in toolchains and those of the pipeline file."""
        return toolchains.Toolchains(self.root, self.resolved.toolchains, offline=offline)

    def shell(self, stage: str, progress: Progress) -> ShellPlan:
        """A shell in the world of one stage, whose inputs must have been built.

        Raises:
            UsageError: an input is not built.
        """
        options = RunOptions(targets=[stage])
        names = self.selection(options)
        planner, shelf = self._planner(names, options, progress, fetch=True)
        planned = planner.plan(names)[-1]
        if planned.key is None:
            hint = f"mlbuild run {self.resolved.file} {stage}"
            raise UsageError(f"stage '{stage}' has inputs that are not built", hint=hint)
        with self.store.lock():  # a build of this pipeline may be using the stage's scratch
            scratch = self.store.prepare(planned.stage, ())
            task = self._tasks(shelf, options, progress).make(planned, scratch, 1)
            return shell_plan(task, os.environ, scratch.work)

    def _planner(
        self, names: Sequence[str], options: RunOptions, progress: Progress, *, fetch: bool
    ) -> tuple[Planner, Shelf]:
        shelf = Shelf(
            self.resolved,
            self.store,
            cache_dir(),
            progress,
            offline=options.offline,
            pull=options.pull and fetch,
            fetch=fetch,
            held=options.locked,
        )
        self.store.digests.progress = progress
        locks = cache(self.toolchains)
        facts = Facts(
            code=cache(self._code),
            toolchain=cache(lambda name: locks().digest(name)),
            dataset=shelf.digest,
            path=self._path_md5,
            again=lambda path: _md5(self.store, self.root / path, anew=True),
            dataset_again=shelf.digest_again,
            released=shelf.release.metrics,
            waived=options.waived,
        )
        forced = frozenset(
            name
            for target in options.force
            for name in graph.select(self.graph, self.resolved.stages, [target])
        )
        planner = Planner(self.resolved, self.store, facts, forced)
        if options.only:
            read = {parent for name in names for parent in self.graph.parents(name)}
            for name in sorted(read - set(names)):
                planner.assume(name)
        return planner, shelf

    @cached_property
    def _stages(self) -> dict[str, Stage]:
        return {stage.name: stage for stage in self.resolved.stages}

    def _changed(
        self, names: list[str], options: RunOptions
    ) -> tuple[standing.Standing | None, list[str]]:
        """What stands as the last build left it, and which stages are to be planned."""
        if options.force or options.only:
            return None, names
        found = standing.recall(self.store, self.resolved, self._loaded.identity)
        if found is None:
            return None, names
        moved = standing.moved(found, self.graph)
        # Gates are judged in every run; that alone moves nothing behind them.
        todo = [name for name in names if name in moved or self._stages[name].gates]
        return found.without(moved), todo

    def _reused(
        self,
        stands: standing.Standing | None,
        names: Sequence[str],
        todo: Sequence[str],
        listener: Listener,
    ) -> dict[str, StageResult]:
        """Tells of the stages that nothing has happened to."""
        if stands is None:
            return {}
        planned = set(todo)
        results = {n: stands.result(self._stages[n]) for n in names if n not in planned}
        for result in results.values():
            listener.ended(result)
        return results

    def _code(self, kind: str) -> Mapping[str, Json]:
        return self._loaded.code.get(kind) or code_parts(self.kinds, kind)

    def _path_md5(self, path: str) -> str | None:
        found = _md5(self.store, self.root / path)
        if found is None and self._loaded.identity is not None:
            # What was kept says nothing of files that went since; reading the YAML tells of them.
            call = self._loaded.call
            loaded.read(call.file, call.profiles, call.sets)
        return found

    def _execute(
        self,
        names: list[str],
        planned: list[Planned],
        planner: Planner,
        sharing: Sharing,
        shelf: Shelf,
        options: RunOptions,
        listener: Listener,
        held: int,
    ) -> dict[str, StageResult]:
        executor = LocalExecutor(options.jobs, held=held)
        try:
            limits = executor.capabilities()
            for item in planned:
                lacking = impossible(limits, item.stage.resources)
                if lacking and item.decision in (Decision.RUN, Decision.PENDING):
                    message = f"stage '{item.stage.name}' needs {lacking}"
                    raise PipelineError(Problem(message, item.stage.place))
            tasks = self._tasks(shelf, options, _told(listener))
            if not options.locked:
                tasks.ensure_toolchains(planned)
            steps = BuildSteps(
                self.resolved, self.store, planner, tasks, listener, sharing, options.locked
            )
            chosen = set(names)
            parents = {n: [p for p in self.graph.parents(n) if p in chosen] for n in names}
            # --locked tells of every stage that would run, so it never stops at the first.
            keep_going = options.keep_going or options.locked
            queue = Queue(names, self._stages, parents, steps, executor, keep_going)
            # Elsewhere Ctrl-C ends mlbuild at once; here stages must be stopped and results kept.
            with interrupts.noticed() as stop:
                return queue.run(stop.is_set)
        finally:
            executor.close()

    def _tasks(self, shelf: Shelf, options: RunOptions, progress: Progress) -> TaskMaker:
        made = cache(lambda: self.toolchains(options.offline))
        state_dir = self.store.state_dir
        return TaskMaker(
            self.resolved, shelf, lambda: self.kinds, made, state_dir, progress, options.strace
        )

    def _record(
        self,
        planner: Planner,
        results: Mapping[str, StageResult],
        todo: Sequence[str],
        shelf: Shelf,
        options: RunOptions,
        listener: Listener,
    ) -> None:
        """Writes the ledger: once a build, also after failures and interrupts."""
        if options.locked:
            return
        if options.record:
            for path in shelf.versioned_paths():
                self.store.add_dataset(path, _told(listener))
        placed = [name for name, result in results.items() if result.outcome in IN_PLACE]
        self.store.commit(
            self.resolved,
            planner.records(placed),
            shelf.frozen,
            decided=set(todo),
            identity=self._loaded.identity,
            built=Variation(self._loaded.call.profiles, self._loaded.call.sets),
            pins_only=not options.record,
            on_wait=listener.noted,
        )

    def _watch(self) -> None:
        """Notes what was read besides inputs and outputs, and keeps it for the next run."""
        if self._loaded.identity is None:
            read = sources_of(self.resolved, self.kinds, self.toolchains())
            self._loaded = loaded.keep(self._loaded, read)
        for path in (self.resolved.file.absolute(), *self._loaded.sources):
            self.store.digests.watch(path)

    def _remember(
        self,
        result: BuildResult,
        stands: standing.Standing | None,
        todo: Sequence[str],
        options: RunOptions,
    ) -> None:
        """Lets the next run see what stands, and the same command that nothing changed."""
        identity = self._loaded.identity
        if identity is None or not options.record or options.locked or not self.store.settle():
            return
        still = dict(stands.seen) if stands else {}
        fixed = {str(path) for path in (self.resolved.file.absolute(), *self._loaded.sources)}
        seen = {p: sig for p, sig in self.store.digests.seen.items() if p not in fixed}
        decided = set(todo)
        results = [r for r in result.stages if r.stage in decided]
        whole = standing.keep(self.store, self.resolved, identity, results, stands, still | seen)
        if options.told_again is None or not (whole and result.ok) or options.force:
            return
        again = if_repeated(result)
        text = options.told_again([self._stages[s.stage] for s in again.stages], again)
        self.store.write_noop(options.arguments, options.caller, text, options.tty, still)


def _unheard(done: float, total: float | None, text: str) -> None:
    """Progress nobody listens to."""


def _told(listener: Listener) -> Progress:
    return lambda done, total, text: listener.advanced("", done, total, text)


def _md5(store: Store, path: Path, *, anew: bool = False) -> str | None:
    if anew:
        store.digests.forget(path)
    found = store.digests.of(path)
    return found.md5 if found else None
