"""A project on disk, its model, and the check that a build does exactly what the model says."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlbuild.__main__ import unchanged
from mlbuild.build import Pipeline, RunOptions
from mlbuild.records import BuildResult
from tests.exactness.changes import Changes
from tests.exactness.model import (
    Content,
    Definition,
    Variant,
    Work,
    evaluate,
    ordered,
    parents,
    variants,
)
from tests.exactness.project import (
    content_of,
    output_path,
    pipeline_text,
)


@dataclass(frozen=True)
class How:
    """How to build."""

    pipeline: int = 0
    jobs: int = 1
    keep_going: bool = True
    only: bool = False
    target: int | None = None
    force: int | None = None
    sets: int | None = None
    profile: bool = False
    locked: bool = False
    record: bool = True
    remember: bool = False  # for the no-op path


@dataclass
class Expected:
    """What the model says of one stage of a build."""

    variant: Variant
    decision: str
    outcome: str
    work: Work | None = None
    before: dict[str, Content | None] = field(default_factory=dict)
    forced: bool = False


class World(Changes):
    """The project, and its builds. Everything that is asserted is asserted in `build`."""

    # --- a build, and the check ------------------------------------------------------------------

    def build(self, how: How) -> None:
        """Builds, and holds what happened to the model."""
        which = how.pipeline % 2
        stages = self.pipelines[which]
        if not stages:
            return
        name = "pq"[which]
        file = self.root / f"pipelines/{name}.yaml"
        text = pipeline_text(name, stages, self._tool, self.globals[which], self.seed)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
        arguments, options, g = self._options(which, how)
        expected = self._expected(name, stages, options, g)
        claimed = self._noop(arguments)
        pipeline = self._load(file, how)
        self._check_plan(pipeline, options, expected)
        result = pipeline.run(options)
        self.counts.update(["builds", *(str(s.outcome) for s in result.stages)])
        told = self._check_outcomes(result, expected, how)
        if claimed is not None:
            self.counts["no-ops"] += 1
            assert set(told.values()) <= {"reused"}, f"the no-op path was wrong: {told}"
        self._check_ran(name, expected, told)
        self._check_disk(expected, told)
        self._check_cache()

    def _options(self, which: int, how: How) -> tuple[list[str], RunOptions, int]:
        g = self.globals[which]
        if how.profile:
            g = 2
        if how.sets is not None:
            g = 1 + how.sets % 3
        targets = self._named(which, how.target)
        # Whatever makes a difference; the no-op path compares texts and reads nothing into them.
        variation = (how.only, how.force, how.locked, how.record)
        arguments = ("run", f"pipelines/{'pq'[which]}.yaml", *targets, f"g={g}", str(variation))
        return (
            list(arguments),
            RunOptions(
                targets=targets,
                jobs=how.jobs,
                only=how.only and bool(targets),
                force=self._named(which, how.force),
                keep_going=how.keep_going,
                locked=how.locked,
                record=how.record,
                arguments=arguments,
                caller=self.root,
                told_again=(lambda stages, result: "nothing to do\n") if how.remember else None,
            ),
            g,
        )

    def _named(self, which: int, number: int | None) -> list[str]:
        if number is None:
            return []
        stages = self.pipelines[which]
        stage = list(stages.values())[number % len(stages)]
        found = variants(stages, stage)
        return [stage.name if number % 3 else found[number % len(found)].name]

    def _load(self, file: Path, how: How) -> Pipeline:
        return Pipeline.load(
            file,
            profiles=["other"] if how.profile else [],
            sets=[f"g={1 + how.sets % 3}"] if how.sets is not None else [],
        )

    def _noop(self, arguments: list[str]) -> str | None:
        before = Path.cwd()
        os.chdir(self.root)
        try:
            return unchanged(arguments)
        finally:
            os.chdir(before)

    def _expected(
        self, pipeline: str, stages: dict[int, Definition], options: RunOptions, g: int
    ) -> dict[str, Expected]:
        selected = self._selection(stages, options)
        found: dict[str, Expected] = {}
        for variant in ordered(stages):
            if variant.name in selected:
                item = self._expect(pipeline, stages, variant, options, g, found)
                found[variant.name] = item
        return found

    def _selection(self, stages: dict[int, Definition], options: RunOptions) -> set[str]:
        every = {v.name: v for v in ordered(stages)}
        if not options.targets:
            return set(every)
        chosen = {n for n, v in every.items() if {n, v.of.name} & set(options.targets)}
        waiting = [] if options.only else list(chosen)
        while waiting:
            for parent in parents(stages, every[waiting.pop()]):
                if parent.name not in chosen:
                    chosen.add(parent.name)
                    waiting.append(parent.name)
        return chosen

    def _expect(
        self,
        pipeline: str,
        stages: dict[int, Definition],
        variant: Variant,
        options: RunOptions,
        g: int,
        known: dict[str, Expected],
    ) -> Expected:
        names = ["o", "metrics"] if variant.of.kind else ["o", *(["p"] if variant.of.extra else [])]
        paths = {n: output_path(pipeline, stages, variant, n) for n in names}
        before = {path: self._content(path) for path in paths.values()}
        around = [known[p.name] for p in parents(stages, variant) if p.name in known]
        inputs = self._inputs(pipeline, stages, variant, known)
        if inputs is None or any(p.outcome in ("failed", "skipped") for p in around):
            pending = inputs is None or any(p.decision in ("run", "pending") for p in around)
            return Expected(variant, "pending" if pending else "run", "skipped", before=before)
        work = evaluate(variant, inputs, self.code, g, paths["o"])
        forced = bool({variant.name, variant.of.name} & set(options.force))
        if forced or work.identity not in self.built:
            decision = "run"
            outcome = "failed" if work.results is None else "ran"
            if options.locked:
                outcome = "skipped"
        else:
            assert work.results is not None
            lying = all(before[paths[n]] == work.results[n] for n in names)
            plain = not any(
                os.access(self.root / p, os.X_OK)
                for p in paths.values()
                if (self.root / p).is_file()
            )
            decision = "reuse" if lying and plain else "restore"
            outcome = {"reuse": "reused", "restore": "restored"}[decision]
        if any(p.decision in ("run", "pending") for p in around):
            decision = "pending"
        return Expected(variant, decision, outcome, work, before, forced)

    def _inputs(
        self,
        pipeline: str,
        stages: dict[int, Definition],
        variant: Variant,
        known: dict[str, Expected],
    ) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for role, read in variant.of.reads.items():
            if isinstance(read.source, str):
                content = content_of(self.root / read.source)
                assert content is not None
                found[role] = content
                continue
            source = stages[read.source]
            wanted = variants(stages, source)
            if not read.every:
                wanted = [v for v in wanted if v.k in (None, variant.k)]
            contents = [self._result(pipeline, stages, v, read.output, known) for v in wanted]
            if None in contents:
                return None
            axes = [v.k for v in wanted]
            found[role] = list(zip(axes, contents, strict=True)) if read.every else contents[0]
        return found

    def _result(
        self,
        pipeline: str,
        stages: dict[int, Definition],
        variant: Variant,
        output: str,
        known: dict[str, Expected],
    ) -> Content | None:
        """What a parent makes; of one outside the selection, what lies on disk, if all does."""
        if variant.name in known:
            work = known[variant.name].work
            return work.results[output] if work and work.results else None
        others = ["o", *(["metrics"] if variant.of.kind else ["p"] if variant.of.extra else [])]
        paths = {n: output_path(pipeline, stages, variant, n) for n in others}
        if any(self._content(p) is None for p in paths.values()):
            return None
        return self._content(paths[output])

    def _content(self, path: str) -> Content | None:
        found = content_of(self.root / path)
        if path.endswith("metrics.json") and isinstance(found, str):
            try:
                return f"metric {json.loads(found)['result']}"
            except (ValueError, TypeError, KeyError):
                return found
        return found

    def _check_plan(
        self, pipeline: Pipeline, options: RunOptions, expected: dict[str, Expected]
    ) -> None:
        planned = {p.stage.name: p for p in pipeline.plan(options)}
        decisions = {name: str(p.decision) for name, p in planned.items()}
        wanted = {n: e.decision for n, e in expected.items()}
        assert decisions == wanted, f"planned {decisions}, the model says {wanted}"
        for name, item in planned.items():
            assert bool(item.reasons) is (decisions[name] != "reuse"), (name, item.reasons)

    def _check_outcomes(
        self, result: BuildResult, expected: dict[str, Expected], how: How
    ) -> dict[str, str]:
        told = {s.stage: str(s.outcome) for s in result.stages}
        wanted = {n: e.outcome for n, e in expected.items()}
        if "failed" in wanted.values() and not how.keep_going:
            # Which stages come before the failure is the queue's own affair.
            assert "failed" in told.values()
            wanted = {n: o if told[n] != "skipped" else "skipped" for n, o in wanted.items()}
        wanted |= self._twins(expected, told, how)
        failures = [s.failure for s in result.stages if s.failure]
        assert told == wanted, f"happened {told}, the model says {wanted}; {failures}"
        for name, outcome in told.items():
            work = expected[name].work
            if outcome == "ran":
                assert work is not None
                self.built.add(work.identity)
        return told

    def _twins(
        self, expected: dict[str, Expected], told: dict[str, str], how: How
    ) -> dict[str, str]:
        """Of stages that are alike, one runs and the others restore what it made.

        Which one is the first is the queue's own affair; two at a time may both run.
        """
        alike: dict[tuple[Any, ...], list[str]] = {}
        for name, item in expected.items():
            if item.outcome == "ran" and item.work is not None and not item.forced:
                alike.setdefault(item.work.identity, []).append(name)
        found: dict[str, str] = {}
        for names in alike.values():
            saved = [n for n in names if told[n] in ("restored", "reused")]
            forced = self._also_forced(expected, names)
            if (len(names) > 1 or forced) and "skipped" not in {told[n] for n in names}:
                assert len(saved) < len(names) or forced
                assert how.jobs > 1 or len(saved) >= len(names) - 1
                self.counts["twins"] += len(saved)
                found |= {n: told[n] for n in saved}
        return found

    def _also_forced(self, expected: dict[str, Expected], names: list[str]) -> bool:
        work = expected[names[0]].work
        return any(e.forced and e.work == work for e in expected.values())

    def _check_ran(
        self, pipeline: str, expected: dict[str, Expected], told: dict[str, str]
    ) -> None:
        literal = {
            path: name for name, e in expected.items() for path in e.before if e.variant.of.literal
        }
        ran: Counter[str] = Counter()
        for line in self._tool.ran():
            work = re.search(rf"build/{pipeline}/\.work/(\w+)(?:-k=(\d)-)?", line)
            if work is None:
                ran[literal[line]] += 1
            else:
                ran[work[1] + (f"[k={work[2]}]" if work[2] else "")] += 1
        wanted = Counter(n for n, outcome in told.items() if outcome in ("ran", "failed"))
        assert ran == wanted

    def _check_disk(self, expected: dict[str, Expected], told: dict[str, str]) -> None:
        for name, item in expected.items():
            done = told[name] in ("ran", "reused", "restored")
            for path, before in item.before.items():
                now = self._content(path)
                if not done:
                    assert now == before, f"{path}: {name} did not succeed, and it changed"
                    continue
                assert item.work is not None and item.work.results is not None
                output = "metrics" if path.endswith("metrics.json") else path.rpartition("/")[2]
                output = "o" if output == "o.txt" else output
                assert now == item.work.results[output], path
                by_hand = self.by_hand.pop(path, None)
                if by_hand is not None and by_hand != now:
                    self._check_kept(path, by_hand)

    def _check_kept(self, path: str, content: Content) -> None:
        kept = self.root / ".mlbuild/kept"
        name = path.rpartition("/")[2]
        found = [content_of(p) for p in kept.glob(f"*{name}")] if kept.is_dir() else []
        assert content in found, f"{path} was changed by hand and is lost: {content!r}"
        self.counts["kept"] += 1

    def _check_cache(self) -> None:
        files = self.root / ".dvc/cache/files/md5"
        for file in files.glob("*/*"):
            name = file.parent.name + file.name.removesuffix(".dir")
            assert hashlib.md5(file.read_bytes()).hexdigest() == name, file
