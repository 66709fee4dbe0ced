"""The planner against a memory that is a dictionary: decisions and reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mlbuild.plan import Facts, Planner, differences, stage_key
from mlbuild.records import (
    DatasetRef,
    Decision,
    Digest,
    Gate,
    GateResult,
    Input,
    Output,
    PathRef,
    Reason,
    ResolvedPipeline,
    Stage,
    StageOutput,
    StageRecord,
)


@dataclass(frozen=True)
class Place:
    missing: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    outdated: bool = False

    @property
    def in_place(self) -> bool:
        return not (self.missing or self.modified or self.outdated)


@dataclass
class FakeMemory:
    last: dict[str, StageRecord] = field(default_factory=dict)
    by_key: dict[str, StageRecord] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    objects: bool = True
    metrics: Path | None = None

    def recorded(self, stage: Stage) -> StageRecord | None:
        return self.last.get(stage.name)

    def candidates(self, stage: Stage, key: str) -> StageRecord | None:
        return self.by_key.get(key)

    def placement(self, stage: Stage, record: StageRecord) -> Place:
        return self.places.get(stage.name, Place())

    def restorable(self, record: StageRecord) -> bool:
        return self.objects

    def object_path(self, digest: Digest) -> Path:
        assert self.metrics is not None
        return self.metrics

    def remember(self, stage: str, parts: Mapping[str, Any], **outputs: str) -> None:
        record = StageRecord(
            stage_key(parts), parts, {n: Digest(md5) for n, md5 in outputs.items()}
        )
        self.last[stage] = self.by_key[record.key] = record


def make(name: str, reads: dict[str, Any] | None = None, **more: Any) -> Stage:
    inputs = tuple(Input(role, (source,)) for role, source in (reads or {}).items())
    outputs = more.pop("outputs", (Output("out", f"build/{name}.txt"),))
    base = name.split("[")[0]
    return Stage(name, base, command="cp", inputs=inputs, outputs=outputs, **more)


@dataclass
class World:
    stages: list[Stage]
    memory: FakeMemory = field(default_factory=FakeMemory)
    paths: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str | None] = field(default_factory=dict)
    toolchain: str = "t1"
    code: dict[str, Any] = field(default_factory=lambda: {"code": "c1", "key_version": 1})
    forced: frozenset[str] = frozenset()
    use_remote: bool = False
    root: Path = Path("/nowhere")

    def plan(self) -> dict[str, Any]:
        pipeline = ResolvedPipeline("p", Path("p.yaml"), self.root, {}, tuple(self.stages), {}, {})
        facts = Facts(
            code=lambda kind: self.code,
            toolchain=lambda name: self.toolchain,
            dataset=self.datasets.get,
            path=self.paths.get,
            again=self.paths.get,
            dataset_again=self.datasets.get,
        )
        planner = Planner(pipeline, self.memory, facts, self.forced, self.use_remote)
        return {p.stage.name: p for p in planner.plan([s.name for s in self.stages])}

    def build(self, **outputs: str) -> "World":
        """Records every stage as if it had run, with outputs of the given digests."""
        for stage in self.stages:
            planned = self.plan()[stage.name]
            md5 = outputs.get(stage.base, f"md5-{stage.name}")
            self.memory.remember(stage.name, planned.parts, **{o.name: md5 for o in stage.outputs})
        return self


def chain() -> World:
    a = make("a", {"src": PathRef("src.txt")})
    b = make("b", {"x": StageOutput("a", "out")})
    return World([a, b], paths={"src.txt": "s1"})


def decisions(world: World) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {n: (str(p.decision), tuple(map(str, p.reasons))) for n, p in world.plan().items()}


def test_what_was_never_built_runs_and_what_reads_it_waits() -> None:
    assert decisions(chain()) == {
        "a": ("run", ("first_run",)),
        "b": ("pending", ("upstream_pending",)),
    }


def test_what_was_built_is_reused() -> None:
    assert decisions(chain().build()) == {"a": ("reuse", ()), "b": ("reuse", ())}


def test_a_changed_input_runs_its_reader_and_nothing_is_known_behind_it() -> None:
    world = chain().build()
    world.paths["src.txt"] = "s2"
    assert decisions(world) == {
        "a": ("run", ("input_changed",)),
        "b": ("pending", ("upstream_pending",)),
    }


def test_content_that_was_built_before_is_restored_and_what_reads_it_is_decided() -> None:
    world = chain().build()
    world.paths["src.txt"] = "s2"
    world.build(a="other")
    world.paths["src.txt"] = "s1"
    world.memory.places = {"a": Place(modified=()), "b": Place()}
    world.memory.places["a"] = Place(missing=("out",))
    assert decisions(world)["a"] == ("restore", ("input_changed",))
    assert decisions(world)["b"][0] == "reuse"


CHANGES = [
    ("toolchain", {"toolchain": "t2"}, ("toolchain_changed",)),
    ("code", {"code": {"code": "c2", "key_version": 1}}, ("code_changed",)),
    ("key version", {"code": {"code": "c1", "key_version": 2}}, ("code_changed",)),
]


@pytest.mark.parametrize(("what", "change", "reasons"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_change_outside_the_file_is_named(
    what: str, change: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    stage = replace(make("k"), kind="x/y", command=None, toolchain="torch")
    world = World([stage]).build()
    for name, value in change.items():
        setattr(world, name, value)
    assert decisions(world) == {"k": ("run", reasons)}


STAGE_CHANGES = [
    ("parameters", {"params": {"bits": 4}}, "params_changed"),
    ("environment", {"env": {"A": "1"}}, "environment_changed"),
    ("command", {"command": "mv"}, "code_changed"),
    ("secret names", {"secrets": ("TOKEN",)}, "environment_changed"),
]


@pytest.mark.parametrize(
    ("what", "change", "reason"), STAGE_CHANGES, ids=[c[0] for c in STAGE_CHANGES]
)
def test_a_change_of_the_stage_is_named(what: str, change: dict[str, Any], reason: str) -> None:
    world = World([make("a")]).build()
    world.stages = [replace(world.stages[0], **change)]
    assert decisions(world) == {"a": ("run", (reason,))}


def test_renaming_a_stage_or_its_output_path_reruns_nothing() -> None:
    world = World([make("a")]).build()
    world.stages = [make("renamed", outputs=(Output("out", "elsewhere.txt"),))]
    assert decisions(world)["renamed"][0] == "reuse"


def test_a_gate_never_enters_the_key() -> None:
    world = World([make("a")]).build()
    world.stages = [replace(world.stages[0], gates=(Gate("x", min=1),))]
    assert world.plan()["a"].decision is Decision.REUSE


def test_a_missing_output_is_restored() -> None:
    world = World([make("a")]).build()
    world.memory.places["a"] = Place(missing=("out",))
    assert decisions(world) == {"a": ("restore", ("output_missing",))}


def test_an_output_changed_by_hand_is_restored_and_named() -> None:
    world = World([make("a")]).build()
    world.memory.places["a"] = Place(modified=("out",))
    assert decisions(world) == {"a": ("restore", ("output_modified",))}


def test_an_output_whose_place_was_moved_to_another_result_is_missing_there() -> None:
    world = World([make("a")]).build()
    world.memory.places["a"] = Place(outdated=True)
    assert decisions(world) == {"a": ("restore", ("output_missing",))}


def test_a_missing_output_whose_objects_are_gone_runs() -> None:
    world = World([make("a")]).build()
    world.memory.places["a"], world.memory.objects = Place(missing=("out",)), False
    assert decisions(world) == {"a": ("run", ("output_missing",))}


def test_with_the_remote_allowed_lost_objects_are_first_asked_for_there() -> None:
    world = World([make("a")]).build()
    world.memory.places["a"], world.memory.objects = Place(missing=("out",)), False
    world.use_remote = True
    planned = world.plan()["a"]
    assert (planned.decision, planned.remote) == (Decision.RESTORE, True)


def test_force_runs_what_is_up_to_date() -> None:
    world = chain().build()
    world.forced = frozenset({"a"})
    assert decisions(world)["a"] == ("run", ("forced",))


def test_a_dataset_that_was_never_fetched_leaves_its_reader_pending() -> None:
    world = World([make("a", {"d": DatasetRef("photos")})], datasets={"photos": None})
    assert decisions(world) == {"a": ("pending", ("upstream_pending",))}


def test_a_record_that_lacks_an_output_of_today_is_not_used() -> None:
    world = World([make("a")]).build()
    two = (Output("out", "a.txt"), Output("more", "b.txt"))
    world.stages = [replace(world.stages[0], outputs=two)]
    assert decisions(world) == {"a": ("run", ("code_changed",))}


def test_an_early_cut_off_stops_the_wave() -> None:
    world = chain().build()
    world.paths["src.txt"] = "s2"
    pipeline = ResolvedPipeline("p", Path("p"), Path("/"), {}, tuple(world.stages), {}, {})
    path = world.paths.get
    facts = Facts(lambda k: {}, lambda t: "t", lambda d: None, path, path, lambda d: None)
    planner = Planner(pipeline, world.memory, facts)
    first, second = planner.plan(["a", "b"])
    assert second.decision is Decision.PENDING
    same = StageRecord(first.key or "", first.parts, {"out": Digest("md5-a")})
    planner.settle(first, same, ())
    assert planner.decide("b").decision is Decision.REUSE


# --- gates that exclude ------------------------------------------------------------------------


def variants(on_fail_excludes: bool = True) -> World:
    """quantize and validate over two bits; `best` reads both lists."""
    stages, models, reports, axes = [], [], [], []
    for bits in (4, 8):
        axis = (("bits", bits),)
        stages.append(make(f"quantize[bits={bits}]", axes=axis, params={"bits": bits}))
        models.append(StageOutput(f"quantize[bits={bits}]", "out"))
        reports.append(StageOutput(f"validate[bits={bits}]", "out"))
        axes.append(axis)
    for bits in (4, 8):
        reads = {"model": StageOutput(f"quantize[bits={bits}]", "out")}
        stages.append(
            make(
                f"validate[bits={bits}]",
                reads,
                axes=(("bits", bits),),
                gates=(Gate("psnr_db", min=40),),
                exclude_on_fail=on_fail_excludes,
                params={"bits": bits},
            )
        )
    inputs = (
        Input("models", tuple(models), True, tuple(axes)),
        Input("reports", tuple(reports), True, tuple(axes)),
    )
    stages.append(replace(make("best"), inputs=inputs))
    return World(stages)


def judged(world: World, failing: str) -> Planner:
    pipeline = ResolvedPipeline("p", Path("p"), Path("/"), {}, tuple(world.stages), {}, {})
    facts = Facts(
        lambda k: {}, lambda t: "t", lambda d: None, lambda p: None, lambda p: None, lambda d: None
    )
    planner = Planner(pipeline, world.memory, facts)
    for stage in world.stages[:-1]:
        planned = planner.decide(stage.name)
        ok = stage.name != failing
        results = tuple(GateResult(g, 41.0 if ok else 20.0, ok, "") for g in stage.gates)
        record = StageRecord(planned.key or "", planned.parts, {"out": Digest(stage.name)})
        planner.settle(planned, record, results)
    return planner


def test_an_excluded_variant_leaves_every_list_that_pairs_with_it() -> None:
    best = judged(variants(), "validate[bits=4]").decide("best")
    assert best.parts["inputs"] == {
        "models": [[{"bits": 8}, "quantize[bits=8]"]],
        "reports": [[{"bits": 8}, "validate[bits=8]"]],
    }


def test_a_gate_that_stops_blocks_what_is_behind_it() -> None:
    best = judged(variants(on_fail_excludes=False), "validate[bits=4]").decide("best")
    assert (best.decision, best.blocked) == (Decision.PENDING, True)


def test_a_stage_behind_an_excluded_variant_is_excluded() -> None:
    world = variants()
    behind = make("page", {"report": StageOutput("validate[bits=4]", "out")})
    world.stages = [*world.stages[:-1], behind]
    planner = judged(World([*world.stages], world.memory), "validate[bits=4]")
    assert planner.decide("page").excluded


def test_lists_of_different_length_pair_by_their_axes() -> None:
    world = variants()
    best = world.stages[-1]
    extra = StageOutput("quantize[bits=8]", "out")
    models = replace(
        best.inputs[0],
        sources=(*best.inputs[0].sources, extra),
        axes=(*best.inputs[0].axes, (("bits", 8),)),
    )
    world.stages[-1] = replace(best, inputs=(models, best.inputs[1]))
    planned = judged(world, "validate[bits=4]").decide("best")
    assert [axes for axes, _ in planned.parts["inputs"]["models"]] == [{"bits": 8}, {"bits": 8}]


def test_waiting_for_an_excluded_variant_excludes_only_its_own_variant() -> None:
    world = variants()
    world.stages = [
        *world.stages[:-1],
        make("notes", needs=("validate[bits=4]", "validate[bits=8]")),
    ]
    planner = judged(world, "validate[bits=4]")
    assert not planner.decide("notes").excluded


def test_differences_come_in_the_order_of_the_closed_list() -> None:
    old = {"inputs": {"a": 1}, "params": {}, "env": {}}
    new = {"inputs": {"a": 2}, "params": {"x": 1}, "env": {"A": "1"}}
    assert differences(old, new) == (
        Reason.INPUT_CHANGED,
        Reason.PARAMS_CHANGED,
        Reason.ENVIRONMENT_CHANGED,
    )
