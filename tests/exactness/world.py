"""A project on disk, its model, and the check that a build does exactly what the model says."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlbuild.__main__ import unchanged
from mlbuild.build import Pipeline, RunOptions
from mlbuild.records import BuildResult
from tests.exactness.model import (
    Code,
    Content,
    Definition,
    Read,
    Variant,
    Work,
    evaluate,
    is_matrix,
    ordered,
    parents,
    variants,
)
from tests.exactness.project import (
    Tool,
    content_of,
    discard,
    output_path,
    pipeline_text,
    put,
    write_kind,
)

FILES = ("data/a.txt", "data/b.txt", "other/c.txt")
FOLDERS = ("data/photos", "other/tree")


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


class World:
    """Changes made by users, and builds. Everything that is asserted is asserted in `build`."""

    def __init__(self, folder: Path, tool: Tool) -> None:
        self._folder, self._tool, self._moves = folder, tool, 0
        self.root = folder / "checkout-0"
        self.pipelines: list[dict[int, Definition]] = [{}, {}]
        self.globals, self.code = [1, 1], Code()
        self.built: set[tuple[Any, ...]] = set()
        self.by_hand: dict[str, Content] = {}
        self._uid = self._hand = self.seed = 0
        self.counts: Counter[str] = Counter()
        self.files = {path: n for n, path in enumerate(FILES)}  # path -> for renaming
        for path, number in self.files.items():
            put(self.root / path, str(number))
        for path in FOLDERS:
            put(self.root / path, (("n1.txt", "1"), ("sub/n2.txt", "2")))
        (self.root / "pipelines").mkdir()
        write_kind(self.root, tool, self.code)

    # --- stages ----------------------------------------------------------------------------------

    def add_stage(self, which: int, a: int, b: int, c: int) -> None:
        stages, self._uid = self.pipelines[which % 2], self._uid + 1
        if len(stages) >= 7:
            return
        stage = Definition(self._uid, f"s{self._uid}", path=self._uid, add=a % 2)
        stage.kind, stage.folder = b % 4 == 3, b % 5 == 2
        stage.extra, stage.literal = c % 4 == 1 and not stage.kind, c % 4 == 2 and not stage.kind
        stage.matrix, stage.uses_global = a % 5 == 3, c % 3 == 1
        stage.modulus = 2 + a % 2
        stage.folder = stage.folder and not stage.kind
        stages[stage.uid] = stage
        self.add_edge(which, len(stages) - 1, a, c)
        self.add_edge(which, len(stages) - 1, b, a)

    def copy_pipeline(self, which: int, a: int, b: int, c: int) -> None:
        """The other pipeline gets the same stages: what one built the other restores."""
        stages = self.pipelines[which % 2]
        copies = {u: replace(s, reads=dict(s.reads)) for u, s in stages.items()}
        self.pipelines[1 - which % 2] = copies

    def remove_stage(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None:
            stages = self.pipelines[which % 2]
            del stages[stage.uid]
            for other in stages.values():
                other.reads = {r: x for r, x in other.reads.items() if x.source != stage.uid}

    def rename_stage(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None:
            self._uid += 1
            stage.name = f"s{self._uid}"

    def swap_names(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self._pick(which, a), self._pick(which, b)
        if one is not None and two is not None:
            one.name, two.name = two.name, one.name

    def swap_output_paths(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self._pick(which, a), self._pick(which, b)
        if one is not None and two is not None:
            one.path, two.path = two.path, one.path

    def swap_bodies(self, which: int, a: int, b: int, c: int) -> None:
        """Two stages exchange all but their names and inputs."""
        one, two = self._pick(which, a), self._pick(which, b)
        if one and two and not (one.kind or two.kind or one.extra or two.extra):
            one.add, two.add = two.add, one.add
            one.modulus, two.modulus = two.modulus, one.modulus
            one.folder, two.folder = two.folder, one.folder

    def add_edge(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is None:
            return
        stages = self.pipelines[which % 2]
        role = "abc"[c % 3]
        sources: list[str | int] = [*self.files, *FOLDERS]
        sources += [u for u in stages if not self._reaches(stages, u, stage.uid)] * 2
        source = sources[b % len(sources)]
        output = "o"
        if isinstance(source, int):
            if is_matrix(stages, stages[source]) and c % 2:
                stage.reads["every"] = Read(source, "o", every=True)
                return
            output = "p" if stages[source].extra and c % 4 == 0 else "o"
        stage.reads[role] = Read(source, output)

    def remove_edge(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and stage.reads:
            del stage.reads[sorted(stage.reads)[b % len(stage.reads)]]

    def swap_roles(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and {"a", "b"} <= stage.reads.keys():
            stage.reads["a"], stage.reads["b"] = stage.reads["b"], stage.reads["a"]

    def change(self, which: int, a: int, b: int, c: int) -> None:
        """A parameter, the environment, threads: forth and back."""
        stage = self._pick(which, a)
        if stage is None:
            return
        if b % 6 == 0:
            stage.add = c % 3
        elif b % 6 == 1:
            stage.env = (None, 0, 1)[c % 3]
        elif b % 6 == 2:
            stage.cpu = 1 + c % 2
        elif b % 6 == 3:
            stage.modulus = 2 + c % 3
        elif b % 6 == 4:
            stage.uses_global = not stage.uses_global
        else:
            stage.literal = not stage.literal and not stage.kind

    def change_matrix(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        stages = self.pipelines[which % 2]
        read = any(r.every for s in stages.values() for r in s.reads.values())
        if stage is not None and not read:
            stage.matrix = not stage.matrix

    def let_fail(self, which: int, a: int, b: int, c: int) -> None:
        stage = self._pick(which, a)
        if stage is not None and not stage.kind:
            stage.fails_at = None if stage.fails_at is not None else b % 3

    def set_global(self, which: int, a: int, b: int, c: int) -> None:
        self.globals[which % 2] = 1 + a % 3

    def reorder(self, which: int, a: int, b: int, c: int) -> None:
        """Keys and stages in another order, other comments."""
        self.seed = 10 * a + b

    # --- files -----------------------------------------------------------------------------------

    def write_file(self, which: int, a: int, b: int, c: int) -> None:
        (self.root / self._file(a)).write_text(str(b % 3))

    def write_unseen(self, which: int, a: int, b: int, c: int) -> None:
        """Another content of the same size, with the old modification time set back."""
        path = self.root / self._file(a)
        found = path.stat()
        path.write_text(str(b % 3))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def touch(self, which: int, a: int, b: int, c: int) -> None:
        os.utime(self.root / self._file(a), (b * 1e6, b * 1e6) if c % 2 else None)

    def make_executable(self, which: int, a: int, b: int, c: int) -> None:
        (self.root / self._file(a)).chmod(0o755 if c % 2 else 0o644)

    def rename_file(self, which: int, a: int, b: int, c: int) -> None:
        old = self._file(a)
        new = re.sub(r"(-\d+)?\.txt$", f"-{b}.txt", old)
        if (self.root / new).exists():
            return
        (self.root / old).rename(self.root / new)
        self.files[new] = self.files.pop(old)
        for stages in self.pipelines:
            for stage in stages.values():
                for role, read in stage.reads.items():
                    if read.source == old:
                        stage.reads[role] = replace(read, source=new)

    def swap_contents(self, which: int, a: int, b: int, c: int) -> None:
        one, two = self.root / self._file(a), self.root / self._file(b)
        if one == two:
            return
        if c % 2:
            aside = self.root / "aside"
            one.rename(aside)
            two.rename(one)
            aside.rename(two)
        else:
            first, second = one.read_text(), two.read_text()
            one.write_text(second)
            two.write_text(first)

    def change_folder(self, which: int, a: int, b: int, c: int) -> None:
        folder = self.root / FOLDERS[a % 2]
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        new = folder / ("", "sub", "deep/er")[b % 3] / f"n{c}.txt"
        if b % 5 == 0:
            put(new, str(c % 2))
        elif b % 5 == 1 and len(found) > 1:
            found[c % len(found)].unlink()
        elif b % 5 == 2 and not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            found[c % len(found)].rename(new)
        elif b % 5 == 3:
            found[c % len(found)].write_text(str(c % 2))
        else:
            (folder / f"empty{c}").mkdir(exist_ok=True)

    # --- the kind --------------------------------------------------------------------------------

    def edit_kind(self, which: int, a: int, b: int, c: int) -> None:
        name = ("factor", "shared", "comment", "default")[a % 4]
        self.code = replace(self.code, **{name: (1 if name == "factor" else 0) + b % 3})
        write_kind(self.root, self._tool, self.code)

    def rewrite_kind(self, which: int, a: int, b: int, c: int) -> None:
        """Changed and put back, and what is no code."""
        file = self.root / "stages/my/mix" / ("run.py", "spec.py")[a % 2]
        text = file.read_text()
        file.write_text("raise SystemExit\n")
        file.write_text(text)
        put(file.with_name(".run.py.swp"), str(b))

    # --- outputs and places ----------------------------------------------------------------------

    def delete_output(self, which: int, a: int, b: int, c: int) -> None:
        path = self._output(which, a, b)
        if path is not None:
            self._forget(path)
            discard(self.root / path)

    def delete_build(self, which: int, a: int, b: int, c: int) -> None:
        for folder in ("build", "out")[a % 2 :]:
            self._forget(folder)
            discard(self.root / folder)

    def change_output(self, which: int, a: int, b: int, c: int) -> None:
        """By hand: written in place, replaced, as a folder, behind a link, or its mode."""
        path = self._output(which, a, b)
        if path is None:
            return
        place, self._hand = self.root / path, self._hand + 1
        text = f"hand {self._hand}"
        if c % 5 == 4:
            if place.is_file():
                place.chmod(0o755)
            return
        self._forget(path)
        if c % 5 == 0 and place.is_file():
            with place.open("r+") as file:
                file.write(text)
        elif c % 5 == 1:
            put(place, (("n1.txt", text), ("sub/n2.txt", "2")))
        elif c % 5 == 2 and place.is_dir():
            put(place / "n7/new.txt", text)
        elif c % 5 == 3:
            put(self.root / f"aside{self._hand}", text)
            discard(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(self.root / f"aside{self._hand}")
        else:
            put(place, text)
        found = content_of(place)
        assert found is not None
        self.by_hand[path] = found

    def delete_state(self, which: int, a: int, b: int, c: int) -> None:
        discard(self.root / ".mlbuild")

    def delete_ledger(self, which: int, a: int, b: int, c: int) -> None:
        names = ("dvc.lock", "dvc.yaml", "pipelines/p-lock.json")
        discard(self.root / names[a % 3])

    def move_checkout(self, which: int, a: int, b: int, c: int) -> None:
        self._moves += 1
        new = self._folder / f"checkout-{self._moves}"
        links = [p for p in self.by_hand if (self.root / p).is_symlink()]
        for path in links:  # they point into the old place
            self._forget(path)
            discard(self.root / path)
        self.root.rename(new)
        self.root = new

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

    # --- picking ---------------------------------------------------------------------------------

    def _pick(self, which: int, number: int) -> Definition | None:
        stages = list(self.pipelines[which % 2].values())
        return stages[number % len(stages)] if stages else None

    def _file(self, number: int) -> str:
        """Mostly one that a stage reads: only there can anything be missed."""
        reads = (r.source for p in self.pipelines for d in p.values() for r in d.reads.values())
        found = sorted({source for source in reads if source in self.files} or self.files)
        found = found if number < 8 else sorted(self.files)
        return str(found[number % len(found)])

    def _output(self, which: int, a: int, b: int) -> str | None:
        stages = self.pipelines[which % 2]
        if not stages:
            return None
        every = ordered(stages)
        variant = every[a % len(every)]
        second = "metrics" if variant.of.kind else "p" if variant.of.extra else "o"
        return output_path("pq"[which % 2], stages, variant, ("o", second)[b % 2])

    def _forget(self, below: str) -> None:
        self.by_hand = {p: c for p, c in self.by_hand.items() if not p.startswith(below)}

    def _reaches(self, stages: dict[int, Definition], start: int, goal: int) -> bool:
        """Whether `start` is `goal` or reads it, directly or not."""
        if start == goal:
            return True
        sources = [r.source for r in stages[start].reads.values() if isinstance(r.source, int)]
        return any(self._reaches(stages, s, goal) for s in sources)


Operation = Callable[[World, int, int, int, int], None]
OPERATIONS: Sequence[str] = tuple(
    name
    for name, member in vars(World).items()
    if not name.startswith("_") and callable(member) and name != "build"
)
